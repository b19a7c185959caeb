/** One layer and its solver: what is asked, and what comes of the answer. */
import { fail, QcError } from '../../grammar/diagnostics.ts';
import type { Crunch } from '../crunch.ts';
import type { Decision, Reweighted } from '../define.ts';
import { fromFloat32 } from '../graph/numeric.ts';
import type { DType, Tensor } from '../graph/types.ts';
import { failAt } from '../plan/bind.ts';
import { matrixOf, outerOf, scaleTypeOf } from '../simulate/encode.ts';
import type { EncodedWeight } from '../simulated.ts';
import { channelOf } from './inputs.ts';
import type { Job } from './jobs.ts';
import type { Source } from './model.ts';
import type { Moments } from './moments.ts';

/** Asks the solver. Errors: `solve-shape`, those of the solver, at the statement. */
export async function decide(
  job: Job,
  m: Moments,
  { source, crunch }: { readonly source: Source; readonly crunch: Crunch },
): Promise<Decision | Reweighted> {
  const { weight, solver, planned } = job;
  const n = Math.sqrt(m.hessian.length);
  if (n !== weight.reduce)
    fail(
      'solve-shape',
      `${planned.site.path}: its input has ${n} channels on axis ${channelOf(planned.site)}, its weight ${weight.reduce}`,
    );
  const layer = { weight, matrix: await matrixOf(weight, source.reader), hessian: m.hessian, rows: m.rows, crunch };
  if (solver.decides === 'correction') throw new Error(`${solver.name} decides no weights`);
  try {
    return await solver.solve(m.cross ? { ...layer, cross: m.cross } : layer, planned.solver.args as never);
  } catch (e) {
    if (!(e instanceof QcError)) throw e;
    const [d] = e.diagnostics;
    return failAt(d!.code, `${planned.site.path}: ${d!.message}`, planned.by.span, d!.hint);
  }
}

/** What is kept of a decision about a weight. */
export const tensorsOf = (w: EncodedWeight, d: Decision | Reweighted): Readonly<Record<string, Tensor | undefined>> =>
  'weight' in d ? { weight: reweighted(w, d) } : coded(w, d);

/** Weights in the place, order and type of those that they replace. */
function reweighted({ source, out, reduce, order }: EncodedWeight, { weight }: Reweighted): Tensor {
  const x =
    order === 'or' ? weight : Float32Array.from({ length: weight.length }, (_, i) => weight[(i % out) * reduce + Math.floor(i / out)]!);
  return { dtype: source.dtype, shape: source.shape, source: { kind: 'bytes', bytes: fromFloat32(source.dtype as 'float32', x) } };
}

function coded(w: EncodedWeight, d: Decision): NonNullable<EncodedWeight['solved']> {
  const groups = w.type.grain.per === 'group' ? Math.ceil(w.reduce / w.type.grain.group) : 0;
  const tensor = (dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor => ({
    dtype,
    shape,
    source: { kind: 'bytes', bytes },
  });
  const table = groups ? [w.out, groups] : [w.out];
  return {
    codes: tensor('uint8', [w.out, w.reduce], d.codes),
    scales: tensor(scaleTypeOf(w) as DType, table, d.scales),
    ...(d.outer ? { outer: tensor(outerOf(w).outer!.type, [w.out], d.outer) } : {}),
    ...(d.zeros ? { zeros: tensor('uint8', table, d.zeros) } : {}),
  };
}
