/** Orders of channels, chosen on calibration data and folded: of a recurrence, of the channels between two linears, of values inside their heads. */
import type { OrderQuestion } from '../define.ts';
import { groupsOf } from '../simulate/sharing.ts';
import type { Site } from '../sites.ts';
import { arrange, foldArranged } from './arrange.ts';
import { type Arrangement, isIdentity, reorder } from './arrangement.ts';
import type { Job, Need } from './job.ts';
import { Refusal, refuse } from './refuse.ts';
import { headOf } from './stream.ts';

/** A value whose channels get a new order. `axes`: where they lie. */
export interface Ordering {
  readonly name: string;
  readonly value: string;
  readonly axes: readonly number[];
  readonly sizes: readonly number[];
  readonly heads: number;
  readonly groups: number;
  /** The recurrence whose x it is. */
  readonly ssm?: Site;
}
export type Chosen = { readonly from: Int32Array; readonly clusters?: Int32Array; readonly note: string };

const observer = (last: number) => ({ name: 'elements', args: { last } });
export const needOf = (o: Pick<Ordering, 'value' | 'sizes'>): Need => ({ value: o.value, observer: observer(o.sizes.length) });

/** x of a recurrence: [batch, time, head, channel], or without heads. Error: Refusal layout-lost. */
export function ofRecurrence(ssm: Site): Ordering {
  const port = ssm.ports['x']!;
  const own = (port.shape ?? []).slice(2);
  const sizes = own.filter((d): d is number => typeof d === 'number');
  if (sizes.length !== own.length || sizes.length === 0 || sizes.length > 2)
    return refuse('layout-lost', `${ssm.path}: the sizes of x's axes are not known`);
  const heads = sizes.length === 2 ? sizes[0]! : 1;
  const groups = heads % groupsOf(ssm) === 0 ? groupsOf(ssm) : 1;
  return { name: ssm.path, value: port.value, axes: sizes.map((_, i) => 2 + i), sizes, heads, groups, ssm };
}

/** What a linear reads along its reduction, or for values of attention what it yields. Error: Refusal layout-lost. */
export function ofEdge(job: Job, from: Site, to: Site): Ordering {
  const value = from.members.includes('attention.v') ? from.ports['output']!.value : to.ports['input']!.value;
  const shape = job.view.shape(value);
  const width = shape?.at(-1);
  if (!shape || typeof width !== 'number') throw new Refusal('layout-lost', `the width of what ${to.path} reads is not known`);
  const ssm = to.members.includes('ssm.output') ? job.sites.find((s) => s.role === 'ssm' && s.block === to.block) : undefined;
  const counted = Number(ssm?.facts['heads'] ?? 0) || 1;
  const heads = from.members.includes('attention.v') ? width / headOf(job, from) : counted;
  return { name: `${from.path} -> ${to.path}`, value, axes: [shape.length - 1], sizes: [width], heads, groups: heads };
}

/** Chooses the order of one value and folds it. Errors: Refusal, those of calibration. */
export async function permuteChannels(job: Job, o: Ordering, choose: (q: OrderQuestion) => Chosen): Promise<void> {
  const need = needOf(o);
  const { min, max } = (await job.observe([need])).get(need.value, need.observer) as { min: Float64Array; max: Float64Array };
  const absmax = Float64Array.from(min, (x, i) => Math.max(Math.abs(x), Math.abs(max[i]!)));
  const { from, clusters, note } = choose({ heads: o.heads, size: absmax.length / o.heads, groups: o.groups, absmax });
  const order: Arrangement = { axes: o.axes, sizes: o.sizes, from };
  if (clusters && o.ssm) for (const port of ['x', 'state']) job.rewriter.cluster(o.ssm, port, clusters);
  if (isIdentity(order)) return job.applied({ name: o.name, detail: `${note}; in order already`, touched: [], same: [] });
  const arranged = arrange(job.view, o.value, order);
  const folded = foldArranged(job.rewriter, job.sites, arranged);
  const at = (a: Arrangement, back: boolean) => (x: Float32Array, shape: readonly number[]) => reorder(a, x, shape, back);
  job.applied({
    name: o.name,
    detail: `${from.length} channels, ${note}; folded into ${folded} tensors, nothing is gathered at run time`,
    touched: [...arranged.values.keys()],
    same: [],
    mapped: new Map([...arranged.values].map(([v, a]) => [v, at(a, true)])),
    caches: new Map([...arranged.caches].map(([v, a]) => [v, at(a, false)])),
  });
}
