/** Corrections of biases: after every weight is solved, layer by layer, the mean output of the float model is put back. */
import { attended } from '../calibrate/padding.ts';
import { floats, ofFloats } from '../calibrate/values.ts';
import type { SolverOf } from '../define.ts';
import { fromFloat32, toFloat64 } from '../graph/numeric.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { byChannel } from '../observers/_values.ts';
import { failAt } from '../plan/bind.ts';
import type { PlannedSolve } from '../plan/types.ts';
import type { Schema } from '../schema.ts';
import { simulate } from '../simulate/simulate.ts';
import type { Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { solvers } from '../solvers/index.ts';
import { placesOf, stagesOf } from './jobs.ts';
import { Parts } from './parts.ts';
import { frontOf, type Solving, sourceOf } from './solve.ts';
import { gathered, Stream } from './stream.ts';

const outputOf = (s: Site) => ({ value: s.ports['output']!.value, axis: s.ports['output']!.axes['channel'] ?? -1 });

/** The simulated level with corrected biases. Every layer sees those before it corrected. Errors: `solve-refused`, those of data. */
export async function correct(s: Solving, solved: Simulated): Promise<Simulated> {
  const jobs = s.plan.solves.filter((p) => p.decides === 'correction');
  if (jobs.length === 0) return solved;
  const place = placesOf(s.source.model);
  const data = await sourceOf(s);
  const batches = await gathered(data.read(s.source.model.graph), data.describe);
  const parts = new Parts(s.options.host, s.source.dir);
  s.run.atEnd.push(() => parts.close());
  const [stream, exact] = [0, 1].map(() => new Stream(s.options.host, parts, batches)) as [Stream, Stream];
  let now = solved;
  let block: number | undefined;
  const weightOf = (site: Site) => solved.weights.find((w) => w.site.id === site.id && w.port === 'weight')!;
  const staged = stagesOf(
    jobs
      .map((planned) => ({ planned, solver: solverOf(planned), weight: weightOf(planned.site), at: place(planned.site) }))
      .sort((a, b) => a.at - b.at),
    true,
  );
  for (const stage of staged) {
    s.options.signal?.throwIfAborted();
    const front = stage.block === block ? undefined : frontOf(s, stage.block, block);
    block = stage.block;
    const last = Math.max(...stage.jobs.map((j) => j.at));
    // The front belongs to what stands before the stage; its own outputs to what the stage makes of it.
    const model = upTo(now, last, place);
    const outputs = stage.jobs.map((j) => outputOf(j.planned.site));
    const [float, actual] = [await means(exact, s.source.model, outputs, front), await means(stream, model, outputs, front)];
    for (const [i, { planned }] of stage.jobs.entries()) {
      const [site, solver] = [planned.site, solverOf(planned)];
      const name = site.bias;
      const bias = name === undefined ? undefined : now.model.graph.initializers.get(name);
      if (name === undefined || !bias)
        failAt('solve-refused', `\`${solver.name}\` cannot correct ${site.path}: it has no bias.`, planned.by.span, 'Leave it out.');
      const added = solver.correct(float[i]!, actual[i]!, planned.solver.args as never);
      now = { ...now, model: await withBias(now.model, name!, bias!, added, s) };
      const most = added.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      s.run.note(`solve ${solver.name}`, `biases moved by up to ${most.toPrecision(3)}`, site.id);
    }
  }
  return now;
}

function solverOf(p: PlannedSolve): SolverOf<'correction', Schema> {
  const found = (solvers as unknown as readonly SolverOf<'correction', Schema>[]).find((x) => x.name === p.solver.name);
  if (found?.decides !== 'correction') throw new Error(`${p.solver.name} corrects nothing`);
  return found;
}

const upTo = (s: Simulated, last: number, place: (site: Site) => number): Model =>
  simulate({
    ...s,
    weights: s.weights.filter((w) => place(w.site) <= last),
    values: s.values.filter((v) => place(v.site) <= last),
  });

/** Mean of every channel of values over all batches. */
async function means(
  stream: Stream,
  model: Model,
  values: readonly { readonly value: string; readonly axis: number }[],
  front?: readonly string[],
): Promise<Float64Array[]> {
  const sums = values.map(() => ({ sum: new Float64Array(0), rows: 0 }));
  for await (const { values: found, mask, done } of stream.read({ model, values: values.map((v) => v.value), front })) {
    for (const [i, { value, axis }] of values.entries()) {
      const v = found[value]!;
      const at = sums[i]!;
      const { x, rows, channels } = byChannel(attended(ofFloats(v.shape, floats(v)), mask), axis, at.sum.length);
      if (at.rows === 0) at.sum = new Float64Array(channels);
      for (let k = 0; k < x.length; k++) at.sum[k % channels]! += x[k]!;
      at.rows += rows;
    }
    for (const name of new Set(values.map((v) => v.value))) done(name);
  }
  return sums.map(({ sum, rows }) => sum.map((x) => x / Math.max(1, rows)));
}

async function withBias(model: Model, name: string, bias: Tensor, added: Float64Array, s: Solving): Promise<Model> {
  const x = toFloat64(bias.dtype, await s.source.reader.bytes(bias));
  if (x.length !== added.length) throw new Error(`${name}: ${x.length} numbers for ${added.length} channels`);
  const bytes = fromFloat32(
    bias.dtype as 'float32',
    Float32Array.from(x, (v, i) => v + added[i]!),
  );
  const initializers = new Map(model.graph.initializers).set(name, {
    dtype: bias.dtype,
    shape: bias.shape,
    source: { kind: 'bytes', bytes },
  });
  return { ...model, graph: { ...model.graph, initializers } };
}
