import type { Transform } from '../define.ts';
import { foldAffine, shifts } from '../fold/affine.ts';
import type { Job } from '../fold/job.ts';
import { columnEnergies, noiseRow, searchNoise } from '../fold/noise.ts';
import { Refusal, refuse } from '../fold/refuse.ts';
import { type ScaleSet, scaleSet } from '../fold/scale.ts';
import { edgeSets } from '../fold/scaling.ts';
import { choice, either, int, num, type Ref, ref } from '../schema.ts';
import type { Site } from '../sites.ts';

const searched = (doc: string, points: number) =>
  either<number | Ref>([num({ doc }), ref('search', { doc })], { doc, default: { name: 'grid', args: { limit: points } } });
const params = {
  distribution: choice(['uniform', 'normal'], { doc: 'Where the row is drawn from.', default: 'uniform' }),
  mean: searched('Shift of the row in steps, or `grid(n)`: n values within a step to either side, and none.', 400),
  amplitude: searched('Size of the row in steps, or `grid(n)`: n values up to two steps, and none.', 200),
  clip: int({ doc: 'Ranges that are tried for the quantizer, by shrinking.', min: 1, max: 10000, default: 100 }),
};
const rows = { name: 'rows', args: { axis: -1, count: 256 } };
const points = (v: unknown): number | { points: number } =>
  typeof v === 'number' ? v : { points: Number((v as Ref).args['limit'] ?? 400) };

const minmax = { name: 'minmax', args: {} };
const looks = (value: string) => [rows, minmax].map((observer) => ({ value, observer }));

/** Where the row folds: a norm or linear whose value goes unchanged to all of its readers; undefined where it does not. */
function folding(job: Job, from: readonly Site[], to: readonly Site[]): ScaleSet | undefined {
  try {
    const set = scaleSet(job.view, job.sites, from, to, false, 'linear');
    return set.producer && shifts(set.producer.site) && !set.pinned.some((x) => x) ? set : undefined;
  } catch (e) {
    if (e instanceof Refusal) return undefined;
    throw e;
  }
}

/** Adds the row in front of the readers and takes it out of their biases. */
function explicit(job: Job, value: string, to: readonly Site[], row: Float64Array): void {
  for (const site of to) {
    const port = site.ports['weight']!;
    const weight = job.rewriter.tensor(port.value) ?? refuse('not-constant', `${port.value} of ${site.path} is no constant`);
    job.rewriter.fold(site, job.rewriter.bias(site), { kind: 'product', weight, reduce: port.axes['reduce']!, vector: row.map((x) => -x) });
  }
  const bytes = new Uint8Array(Float32Array.from(row).buffer);
  job.rewriter.insert(value, to, 'noise', (i) =>
    i.op('Add', [value, i.constant('noise', { dtype: 'float32', shape: [row.length], source: { kind: 'bytes', bytes } })]),
  );
}

/** The row of channels from one of inputs: inputs that share a channel share its number. */
function byChannel(set: ScaleSet, row: Float64Array): Float64Array {
  const out = new Float64Array(set.channels);
  for (const [i, c] of set.readings[0]!.channels.entries()) out[c] = row[i]!;
  return out;
}

const transform: Transform<typeof params> = {
  name: 'noise',
  since: '0.2.0',
  doc: 'A fixed row is added before rounding and taken out of the bias: it moves values off the places where rounding is worst. The quantizer, the mean and the size of the row are those with the least output error on a sample; no row is among the choices. It folds into the bias of a norm or linear, else it is an addition.',
  cite: 'Liu et al., NoisyQuant, 2022 (arXiv:2211.16056)',
  formula: 'y = Q(x + n) Wᵀ + (b − n Wᵀ)',
  params,
  stage: () => 7,
  needs: (edges) => edges.flatMap((e) => (e.to.ports['input'] ? looks(e.to.ports['input'].value) : [])),
  async apply(job, p) {
    const sets = edgeSets(job.edges);
    const valueRead = (to: readonly Site[]) => to[0]!.ports['input']!.value;
    const seen = await job.observe(sets.flatMap((s) => looks(valueRead(s.to))));
    for (const { from, to } of sets) {
      const name = `${from.map((s) => s.path).join(', ')} -> ${to.map((s) => s.path).join(', ')}`;
      const type = job.typeOf(to[0]!, 'input');
      if (type?.codes?.kind !== 'int' || type.mode !== 'static' || type.grain.per !== 'tensor')
        refuse('not-quantized', `${name}: what is read gets no static integer type with one step`);
      const value = valueRead(to);
      const sample = seen.get(value, rows)['rows'] as Float32Array;
      const width = sample.length / seen.get(value, rows)['count']![0]!;
      const range = seen.get(value, minmax);
      const set = folding(job, from, to);
      const drawn = noiseRow(name, width, p.distribution);
      const row = set ? drawn.map((_, i) => drawn[set.readings[0]!.channels[i]! % width]!) : drawn;
      const how = { clip: p.clip, mean: points(p.mean), amplitude: points(p.amplitude) };
      const found = searchNoise(sample, [range['min']![0]!, range['max']![0]!], row, await columnEnergies(job, to, width), type!, how);
      const n = row.map((x) => found.mean + found.amplitude * x);
      for (const site of to) job.rewriter.fix(site, 'input', [found.scale, found.zero]);
      if (n.some((x) => x !== 0)) {
        if (set) foldAffine(job.rewriter, set, new Float64Array(set.channels).fill(1), byChannel(set, n));
        else explicit(job, value, to, n);
      }
      const steps = (x: number) => (x / found.scale).toFixed(3);
      job.applied({
        name,
        detail: `mean ${steps(found.mean)}, size ${steps(found.amplitude)} steps; rounding error ${(100 * found.gain).toFixed(1)} % of that without; ${set ? 'folded' : 'an addition'}`,
        touched: [value, ...(set ? set.values.keys() : [])],
        same: to.map((s) => s.ports['output']!.value),
      });
    }
  },
};
export default transform;
