/** A rotation that is computed at run time, in front of the linears that read a value: x' = x R, W' = Rᵀ W. */
import { float32s, int64s } from '../lower/make.ts';
import type { Site } from '../sites.ts';
import type { Job } from './job.ts';
import type { Choice } from './learn.ts';
import { transposed } from './product.ts';
import { Refusal, refuse } from './refuse.ts';
import type { Insertion } from './rewriter.ts';
import { matrixOf, type Rotation } from './rotation.ts';
import { edgeEvidence } from './stream.ts';

/** x R for blocks of R's size along the last axis, factor by factor of its Kronecker product: n (a + b) products a row instead of n². */
export function emitRotation(i: Insertion, x: string, rank: number, width: number, r: Rotation): string {
  const factors = r.factors ?? [matrixOf(r)];
  const sizes = factors.map((f) => Math.round(Math.sqrt(f.length)));
  const blocks = width / r.size;
  const inner = [...(blocks === 1 ? [] : [blocks]), ...sizes];
  const constant = (k: number, left: boolean) =>
    i.constant('rotation', float32s(left ? transposed(factors[k]!, sizes[k]!) : factors[k]!, [sizes[k]!, sizes[k]!]));
  const keep = Array<number>(rank - 1).fill(0);
  const apart = inner.length === 1 ? x : i.op('Reshape', [x, i.constant('blocks', int64s([...keep, ...inner]))]);
  let y = i.op('MatMul', [apart, constant(factors.length - 1, false)]);
  if (factors.length === 2) y = i.op('MatMul', [constant(0, true), y]);
  return inner.length === 1 ? y : i.op('Reshape', [y, i.constant('row', int64s([...keep, -1]))]);
}

/** Puts the rotation of a value in front of every selected linear that reads it. Errors: Refusal no-producer, layout-lost. */
export async function rotateOnline(
  job: Job,
  to: readonly Site[],
  size: (width: number, first: Site) => number,
  choose: Choice,
): Promise<void> {
  const byValue = new Map<string, Site[]>();
  for (const s of new Set(to)) {
    if (s.role !== 'linear') refuse('no-producer', `${s.path}: a ${s.role} takes no rotation`);
    const value = s.ports['input']!.value;
    byValue.set(value, [...(byValue.get(value) ?? []), s]);
  }
  for (const [value, readers] of byValue) {
    const shape = job.view.shape(value);
    const width = shape?.at(-1);
    const names = readers.map((s) => s.path).join(', ');
    if (!shape || typeof width !== 'number') throw new Refusal('layout-lost', `the width of what ${names} reads is not known`);
    const turned = readers.find((s) => s.facts['transA'] === true);
    if (turned) refuse('layout-lost', `${turned.path} does not read the channels along its last axis`);
    const { rotation, note } = await choose(size(width, readers[0]!), () => edgeEvidence(job, readers));
    job.rewriter.insert(value, readers, 'rotated', (i) => emitRotation(i, value, shape.length, width, rotation));
    for (const s of readers)
      job.rewriter.fold(s, s.ports['weight']!.value, { kind: 'rotate', axis: s.ports['weight']!.axes['reduce']!, rotation });
    job.applied({
      name: `"${value}" -> ${names}`,
      detail: `${rotation.name} at run time${width > rotation.size ? `, in each of ${width / rotation.size} blocks` : ''}${note ? `; ${note}` : ''}`,
      touched: [],
      same: readers.map((s) => s.ports['output']!.value),
    });
  }
}
