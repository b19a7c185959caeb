/** Proof of transforms (language.md, rule 6): the rewritten float model computes what the model computed, on calibration data. */
import type { Source as DataSource } from '../calibrate/index.ts';
import { tapped } from '../calibrate/tap.ts';
import { floats } from '../calibrate/values.ts';
import { isFloat } from '../graph/dtype.ts';
import { failAt } from '../plan/bind.ts';
import { firstBatches, hasData, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import type { Prepared, Segment } from './rewrite.ts';
import type { Run } from './run.ts';
import type { CompileOptions } from './types.ts';

/** Largest ‖y′ − y‖ / ‖y‖ of what a transform must keep, in float32. */
export const EXACT = 1e-5;
/** Larger models are not run twice only to be proved. */
const PROVE_LIMIT = 2 ** 30;

/**
 * Runs both models on one batch of each kind of calibration data and compares what every application must keep, every block's outputs and the
 * model's. Approximate transforms are measured instead. Error: `not-equivalent`, with the transform and the site of the first value (in the order
 * of the graph) that differs.
 */
export async function proveTransforms(source: Source, rewritten: Prepared, options: CompileOptions, run: Run): Promise<void> {
  const { plan, applied, segments } = rewritten;
  if (applied.length === 0) return;
  if (!hasData(plan, options)) return run.note('proof of transforms', 'not run: no data is bound');
  if (source.bytes > PROVE_LIMIT) return run.note('proof of transforms', 'not run: the model is larger than 1 GiB');
  const data = firstBatches(await judgingSource(plan, source.dir, options, applied[0]!.by), 1);
  for (const segment of segments) {
    const found = await compareSegment(segment, source, data, options);
    const worst = found.reduce((a, b) => (b.off > a.off ? b : a), { off: 0, value: '' });
    const guilty = found.find((f) => !(f.off <= EXACT));
    if (guilty && !segment.approximate) unequal(guilty.value, guilty.off, segment);
    const at = worst.value ? ` (${worst.value})` : '';
    if (segment.approximate)
      run.note(
        'measured',
        `transform ${segment.applied[0]!.kind} is approximate: outputs of its readers differ by up to ${worst.off.toExponential(1)}${at}`,
      );
    else run.note('proof of transforms', `${found.length} values equal those of the float model within ${worst.off.toExponential(1)}${at}`);
  }
}

/** ‖y′ − y‖ / ‖y‖ of each comparable value, in the order of the graph. */
async function compareSegment(segment: Segment, source: Source, data: DataSource, options: CompileOptions) {
  const { before, after, applied, approximate } = segment;
  const values = comparable(segment).filter((v) => !approximate || applied.some((a) => a.same.includes(v)));
  const [first, second] = [
    await options.host.session(tapped(before.model, values), source.dir),
    await options.host.session(tapped(after.model, values), source.dir),
  ];
  const worst = new Map(values.map((v) => [v, 0]));
  try {
    for await (const { feeds } of data.read(source.model.graph)) {
      const given = (f: typeof feeds, names: readonly string[]) => Object.fromEntries(names.map((n) => [n, f[n]!]));
      const [a, b] = [
        await first.run(given(before.adapt?.(feeds) ?? feeds, first.inputs)),
        await second.run(given(after.adapt?.(feeds) ?? feeds, second.inputs)),
      ];
      for (const value of values) {
        const actual = Float32Array.from(floats(b[value]!));
        for (const m of applied.toReversed()) m.mapped?.get(value)?.(actual, b[value]!.shape);
        const off = distance(floats(a[value]!), actual);
        worst.set(value, Math.max(worst.get(value)!, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off));
      }
    }
  } finally {
    await first.close();
    await second.close();
  }
  return values.map((value) => ({ value, off: worst.get(value)! }));
}

/** In the order of the graph: what applications keep, block outputs, model outputs; not what a transform changed in an unknown way. */
function comparable({ before, after, applied }: Segment): string[] {
  // What one application maps in a known way, another may have changed in an unknown one.
  const touched = new Set(applied.flatMap((a) => a.touched.filter((v) => !a.mapped?.has(v))));
  const made = new Set(after.model.graph.nodes.flatMap((n) => n.outputs));
  const wanted = new Set([
    ...applied.flatMap((a) => [...a.same, ...(a.mapped?.keys() ?? [])]),
    ...before.sites.blocks.flatMap((b) => b.outputs),
    ...before.model.graph.outputs.map((o) => o.name),
  ]);
  const info = (v: string) => before.model.graph.values.get(v) ?? before.model.graph.outputs.find((o) => o.name === v);
  return before.model.graph.nodes
    .flatMap((n) => n.outputs)
    .filter((v) => wanted.has(v) && made.has(v) && !touched.has(v) && isFloat(info(v)?.dtype));
}

function distance(y: Float32Array, actual: Float32Array): number {
  let [error, energy] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    error += (actual[i]! - y[i]!) ** 2;
    energy += y[i]! ** 2;
  }
  return energy === 0 ? Math.sqrt(error) : Math.sqrt(error / energy);
}

function unequal(value: string, off: number, { applied }: Segment): never {
  const guilty = applied.find((a) => a.same.includes(value) || a.mapped?.has(value)) ?? applied.at(-1)!;
  return failAt(
    'not-equivalent',
    `transform ${guilty.kind} on ${guilty.name} changes what the model computes: "${value}" differs by ${off.toExponential(1)}, more than ${EXACT}.`,
    guilty.by.span,
    'This is a fault of qc: please report it. Leave the site out of the transform meanwhile.',
  );
}
