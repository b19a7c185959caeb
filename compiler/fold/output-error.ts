/** How far a layer's output is from what it was, for weights that were changed and rounded: tr((W − Ŵ) H (W − Ŵ)ᵀ), H = XᵀX. */
import type { EvalContext } from '../host.ts';
import { float32s } from '../lower/make.ts';
import type { QType } from '../plan/types.ts';
import { dequantizedRows, sourceRows } from '../simulate/dequantized.ts';
import type { EncodedWeight } from '../simulated.ts';
import type { Site } from '../sites.ts';
import type { Job } from './job.ts';
import { refuse } from './refuse.ts';

/** The weight of a linear as rows [out, reduce]. `limit`: of larger matrices, this many rows evenly spread. */
export interface Rows {
  readonly site: Site;
  readonly type: QType;
  readonly rows: Float32Array;
  readonly out: number;
  readonly reduce: number;
}

/** The weight of a site before the application's own folds. Error: Refusal not-quantized where the plan leaves it in float. */
export async function rowsOf(job: Job, site: Site, limit = Number.POSITIVE_INFINITY): Promise<Rows> {
  const type = job.typeOf(site, 'weight');
  if (!type?.codes) return refuse('not-quantized', `the weight of ${site.path} stays float, so that no error says which map is better`);
  const { rows, out, reduce } = await floatRows(job, site);
  if (out <= limit) return { site, type, rows, out, reduce };
  const few = new Float32Array(limit * reduce);
  for (let i = 0; i < limit; i++) few.set(rows.subarray(Math.floor((i * out) / limit) * reduce).subarray(0, reduce), i * reduce);
  return { site, type, rows: few, out: limit, reduce };
}

/** The float weight of a linear as rows [out, reduce], after what earlier applications folded. */
export async function floatRows(job: Job, site: Site): Promise<{ rows: Float32Array; out: number; reduce: number }> {
  const port = site.ports['weight']!;
  const source = job.rewriter.tensor(port.value);
  const axis = port.axes['out'] ?? 0;
  if (source?.shape.length !== 2) return refuse('not-constant', `the weight of ${site.path} is no constant matrix`);
  const [out, reduce] = [source.shape[axis]!, source.shape[1 - axis]!];
  const w = { site, port: 'weight', source, out, reduce, order: axis === 0 ? 'or' : 'ro' } as EncodedWeight;
  return { rows: await sourceRows(w, job.ctx), out, reduce };
}

/** What the codes of `rows` [out, reduce] stand for; in `to` where it is given. */
export const rounded = (
  w: Pick<Rows, 'site' | 'type' | 'out' | 'reduce'>,
  rows: Float32Array,
  ctx: EvalContext,
  to?: Float32Array,
): Promise<Float32Array> =>
  dequantizedRows(
    {
      site: w.site,
      port: 'weight',
      type: w.type,
      out: w.out,
      reduce: w.reduce,
      order: 'or',
      source: float32s(rows, [w.out, w.reduce]),
    },
    ctx,
    'plain',
    to,
  );

/** tr(D H Dᵀ) = ⟨DᵀD, H⟩ for D [out, n], H [n, n]. */
export async function energyOf(d: Float32Array, h: ArrayLike<number>, n: number, ctx: EvalContext): Promise<number> {
  const gram = new Float64Array(n * n);
  await ctx.crunch.gram(gram, d, n);
  let sum = 0;
  for (let i = 0; i < gram.length; i++) sum += gram[i]! * h[i]!;
  return sum;
}
