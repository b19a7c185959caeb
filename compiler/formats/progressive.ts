import type { Format } from '../define.ts';
import { type Ref, ref } from '../schema.ts';
import int from './int.ts';

const params = {
  outer: ref('format', { doc: 'The first level, by output channel: a signed integer of at most 8 bits, `int8(bound: 119)`.' }),
  inner: ref('format', { doc: 'The second level, on the integers of the first, with its group: `uint4(group: 128)`.' }),
};

/** An integer format under one of the names that recipes type for it. */
function integer(level: Ref): { bits: number; signed: boolean; bound?: number; group?: number } {
  const fixed = level.name === int.name ? {} : int.spellings?.[level.name];
  if (!fixed) throw new Error(`progressive formats are made of integers, not of ${level.name}`);
  return { signed: true, ...fixed, ...level.args } as ReturnType<typeof integer>;
}

/** Codes of codes. The second level's steps are integers, so that weights become the first level's integers without a float. */
const format: Format<typeof params> = {
  name: 'progressive',
  since: '0.1.0',
  doc: 'Codes of codes: steps by group are integers of 8 bits under one float step for each output channel. With `int8(bound: 119)` outside and `uint4` inside, (q − z)·s₂ never leaves int8, so products run on 8-bit integers while weights lie in 4 bits.',
  formula: 'W ≈ s₁·s₂·(q − z), s₁ = max|W_row| / bound, s₂ = max(1, round((max − min) / (15·s₁))) an integer, −128 ≤ (q − z)·s₂ ≤ 127',
  cite: 'Lin et al., QServe, 2024 (arXiv:2405.04532)',
  params,
  positional: ['outer', 'inner'],
  resolve(p) {
    const [outer, inner] = [integer(p.outer), integer(p.inner)];
    const wrong = (why: string): never => {
      throw new Error(why);
    };
    if (!outer.signed || outer.bits > 8) wrong('the first level of a progressive format is a signed integer of at most 8 bits');
    if (inner.bits >= outer.bits) wrong('the second level of a progressive format has fewer bits than the first');
    const { group, bound: _, ...rest } = inner;
    const codes = int.resolve(rest as never);
    return {
      ...codes,
      scaleType: 'int8',
      outer: { bound: Math.min(outer.bound ?? 127, 2 ** (outer.bits - 1) - 1) },
      grain: { per: 'group', group: group ?? 128 },
    };
  },
};
export default format;
