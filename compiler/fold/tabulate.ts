/** What depends on the step alone becomes a table of its values: a finite set of steps needs no network that computes from them. */
import { elements, isFloat } from '../graph/dtype.ts';
import type { Value } from '../host.ts';
import { float32s, held, int64s, numbers } from '../lower/make.ts';
import type { Site } from '../sites.ts';
import type { Job } from './job.ts';
import { refuse } from './refuse.ts';
import type { Insertion } from './rewriter.ts';

/** Indices are computed in float32, which counts exactly up to here. */
export const MOST_STEPS = 65536;

/**
 * Replaces every value that leaves a temporal region by a row of a table, found by the value of the step; a step that is not in the list is an
 * error at run time (an index beyond the table). Errors: Refusal no-producer, layout-lost, not-constant.
 */
export async function tabulate(job: Job, sites: readonly Site[], steps: readonly number[]): Promise<void> {
  const odd = sites.find((s) => s.role !== 'temporal' && !s.members.includes('temporal'));
  const regions = sites.filter((s) => s.role === 'temporal');
  if (odd || regions.length === 0)
    refuse('no-producer', `${odd ? `${odd.path} is a ${odd.role}` : 'nothing'}; tables replace what is \`temporal\``);
  for (const region of regions) await replace(job, region, steps);
}

async function replace(job: Job, region: Site, steps: readonly number[]): Promise<void> {
  const { view, rewriter } = job;
  const t = region.ports['input']!.value;
  const [shape, dtype] = [view.shape(t), view.dtype(t)];
  if (shape?.length !== 1 || !dtype) return refuse('layout-lost', `"${t}" is not one number a sample`);
  const broken = isFloat(dtype) ? undefined : steps.find((s) => !Number.isInteger(s));
  if (broken !== undefined) refuse('not-constant', `"${t}" is ${dtype} and is never ${broken}`);
  const order = (value: string) => view.order(view.producer(value)!);
  const values = Object.values(region.ports)
    .map((p) => p.value)
    .filter((v) => v !== t)
    .sort((a, b) => order(a) - order(b));
  for (const v of values)
    if (String(view.shape(v)?.[0]) !== String(shape[0])) refuse('layout-lost', `"${v}" does not have one row for each of "${t}"`);
  const asked: Value = { dtype, shape: [steps.length], bytes: bytesOf(numbers(dtype, [steps.length], steps)) };
  const found = await job.run(values, { [t]: asked });
  let index: string | undefined;
  const indexOf = (i: Insertion): string => {
    const wide = i.op('Unsqueeze', [t, i.constant('axis', int64s([1]))]);
    const same = i.op('Cast', [i.op('Equal', [wide, i.constant('steps', numbers(dtype, [1, steps.length], steps))])], { to: 1 });
    // n − Σ [t = steps_k] (n − k): k where a step is found, n, beyond the table, where none is
    const back = i.constant(
      'back',
      float32s(
        steps.map((_, k) => steps.length - k),
        [steps.length],
      ),
    );
    const from = i.op('Sub', [i.constant('count', float32s([steps.length], [1])), i.op('MatMul', [same, back])]);
    return i.op('Cast', [from], { to: 7 });
  };
  rewriter.supply(region, values, (i, value) => {
    const rows = found[value]!;
    if (rows.shape[0] !== steps.length) refuse('layout-lost', `"${value}" does not have one row for each of "${t}"`);
    index ??= indexOf(i);
    return i.op('Gather', [i.constant('table', held(rows.dtype, rows.shape, rows.bytes)), index], { axis: 0 });
  });
  const size = values.reduce((n, v) => n + elements(found[v]!.shape), 0);
  job.applied({
    name: `"${t}" -> ${values.map((v) => `"${v}"`).join(', ')}`,
    detail: `${values.length} value${values.length === 1 ? '' : 's'} of ${region.nodes.length} operators in a table of ${steps.length} steps, ${size} numbers`,
    touched: [],
    same: values,
  });
}

const bytesOf = (t: ReturnType<typeof held>): Uint8Array => (t.source.kind === 'bytes' ? t.source.bytes : new Uint8Array());
