import type { Format } from '../define.ts';
import { bool, int } from '../schema.ts';

const params = {
  bits: int({ doc: 'Bits of a code.', min: 2, max: 16 }),
  signed: bool({ doc: 'Signed codes −2^(bits−1) … 2^(bits−1)−1, else 0 … 2^bits−1.', default: true }),
  bound: int({ doc: 'Codes are held within ±bound, so that a nested format cannot overflow.', min: 1, max: 32767, optional: true }),
};

/** Integers of 2 to 16 bits. Signed ones are symmetric unless the statement says otherwise; up to 4 bits one scale per group of 32. */
const format: Format<typeof params> = {
  name: 'int',
  since: '0.1.0',
  doc: 'Integer codes under a scale. `int4` is signed and symmetric in −8…7, `uint4` has a zero point; 2 to 4 bits are group-wise (32) unless asked otherwise, wider ones per channel.',
  formula: 'x ≈ s·(q − z), q = clip(round(x/s) + z, lo, hi)',
  params,
  positional: ['bits'],
  spellings: {
    ...Object.fromEntries([2, 3, 4, 5, 6, 7, 8, 16].map((bits) => [`int${bits}`, { bits }])),
    ...Object.fromEntries([2, 3, 4, 5, 6, 7, 8, 16].map((bits) => [`uint${bits}`, { bits, signed: false }])),
  },
  resolve(p) {
    const full = 2 ** p.bits;
    const [lo, hi] = p.signed ? [-full / 2, full / 2 - 1] : [0, full - 1];
    const bound = p.bound as number | undefined;
    return {
      bits: p.bits,
      symmetric: p.signed,
      scaleType: 'model',
      codes: {
        kind: 'int',
        bits: p.bits,
        signed: p.signed,
        lo: bound === undefined ? lo : Math.max(lo, -bound),
        hi: bound === undefined ? hi : Math.min(hi, bound),
      },
      grain: p.bits <= 4 ? { per: 'group', group: 32 } : { per: 'channel' },
      defaultLaw: 'minmax',
    };
  },
};
export default format;
