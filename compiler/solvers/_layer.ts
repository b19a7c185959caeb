/** What the solvers of codes ask of the crunch alike, and what they answer. */
import type { Decision, Layer } from '../define.ts';
import { outerOf, scaleTypeOf, storedFormat } from '../simulate/encode.ts';
import { lawOf } from '../simulate/law.ts';

/** The layer's part of a request. Throws where `covers` should have refused. */
export function asked({ weight, matrix, hessian, cross }: Layer) {
  const { type, site } = weight;
  if (!type.codes || (type.grain.per !== 'channel' && type.grain.per !== 'group')) throw new Error(`${site.id}: ${type.text}`);
  const scaleType = scaleTypeOf(weight);
  if (scaleType === 'float64' || scaleType === 'e8m0' || scaleType === 'nv') throw new Error(`${site.id}: scales of ${scaleType}`);
  return {
    label: site.id,
    weight: matrix,
    format: storedFormat(type.codes),
    symmetric: type.symmetric,
    grain: type.grain.per === 'group' ? { per: 'group' as const, group: type.grain.group } : { per: 'channel' as const },
    law: lawOf(type.law),
    scaleType,
    ...outerOf(weight),
    hessian,
    ...(cross ? { cross } : {}),
  };
}

/** Codes, scales and zero points as they came, with what is to say of them. */
export const decided = (
  r: { readonly codes: Uint8Array; readonly scales: Uint8Array; readonly zeros?: Uint8Array; readonly rowSteps?: Uint8Array },
  note: string,
): Decision => ({
  codes: r.codes,
  scales: r.scales,
  ...(r.zeros ? { zeros: r.zeros } : {}),
  ...(r.rowSteps ? { outer: r.rowSteps } : {}),
  note,
});
