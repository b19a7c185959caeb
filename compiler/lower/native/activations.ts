/** Activations as the native operators read them: int8 codes with float scales. */
import type { QuantizedValue } from '../../simulated.ts';
import { type Codes, sharedCodes } from '../activations.ts';
import type { Lowering, Work } from '../lowering.ts';
import { numbers } from '../make.ts';

/** Has the value one step that is known, and codes of a byte? Migrated sites are of this kind: their one step is 1. */
export function isStaticInput(v: QuantizedValue): boolean {
  const { codes, mode } = v.type;
  const same = (x: Float32Array | undefined) => x === undefined || x.every((s) => s === x[0]);
  return (
    mode === 'static' && codes?.kind === 'int' && codes.bits <= 8 && v.scale !== undefined && !v.shape && same(v.scale) && same(v.zero)
  );
}

/** Its codes in int8 by QuantizeLinear, one scale and one zero point, shared by all readers; unsigned codes are moved by half their range. */
export function staticInput(l: Lowering, w: Work, v: QuantizedValue): Codes {
  const { codes } = v.type;
  if (codes?.kind !== 'int') throw new Error(`${v.site.id}.${v.port}: no integer codes`);
  const shift = codes.signed ? 0 : -128;
  const constant = (name: string, dtype: 'float32' | 'int8', value: number) =>
    l.editor.shared(`qc/${dtype}/${name}/${value}`, () => numbers(dtype, [1], [value]));
  return sharedCodes(l, w, v, 'int8', (e) => {
    const scale = constant('scale', 'float32', v.scale?.[0] ?? 1);
    const zero = constant('zero', 'int8', (v.zero?.[0] ?? 0) + shift);
    const q = e.op('QuantizeLinear', [w.float === 'float32' ? v.value : e.cast(v.value, 'float32'), scale, zero]);
    const [lo, hi] = [codes.lo + shift, codes.hi + shift];
    const full = lo === -128 && hi === 127;
    return { codes: full ? q : e.op('Clip', [q, e.scalar(lo, 'int8'), e.scalar(hi, 'int8')]), scale, zero };
  });
}
