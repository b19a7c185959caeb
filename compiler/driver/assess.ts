/** Measures the lowered model: proves that it is the simulated one, and judges the contract. */
import { splitPath } from '../calibrate/source.ts';
import type { Lowered } from '../define.ts';
import { type Comparison, compare } from '../evaluate/index.ts';
import { prove } from '../lower/prove.ts';
import type { Planned } from '../plan/plan.ts';
import { sizesOf } from '../plan/size.ts';
import type { Simulated } from '../simulated.ts';
import { firstBatches, hasData, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import { evaluations, judge, outputsToCompare } from './require.ts';
import type { Run } from './run.ts';
import type { CompileOptions, CompileResult, Required } from './types.ts';

export interface Assessment {
  readonly requires: readonly Required[];
  readonly metrics: CompileResult['metrics'];
  readonly comparison?: Comparison;
}

interface Assessed {
  readonly plan: Planned;
  readonly source: Source;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  /** Bytes that will be written. */
  readonly size: number;
  readonly options: CompileOptions;
  readonly run: Run;
}

/** Larger models are not run twice only to be proved. */
const PROVE_LIMIT = 2 ** 30;

/** Errors: `data-unbound` where something has to be measured and there is nothing to measure on; `not-proved`. */
export async function assess(a: Assessed): Promise<Assessment> {
  const { plan, source, options, lowered } = a;
  const { model } = source;
  const outputs = outputsToCompare(plan, model);
  const available = hasData(plan, options);
  if (available && source.bytes <= PROVE_LIMIT) await proveOn(a);
  else a.run.note('proof', available ? 'not run: the model is larger than 1 GiB' : 'not run: no data is bound');
  const layers = options.histograms && available ? layerOutputs(a) : [];
  const needed = outputs.length > 0 || layers.length > 0;
  const by = (plan.requires[0] ?? plan.evaluations[0])?.by;
  const comparison = needed
    ? await compare({
        host: options.host,
        reference: source,
        actual: { model: lowered.model, dir: source.dir },
        source: await judgingSource(plan, source.dir, options, by),
        outputs,
        layers,
        onProgress: (done, total) => a.run.onEvent({ phase: 'measure', done, ...(total === undefined ? {} : { total }) }),
        ...(options.signal ? { signal: options.signal } : {}),
      })
    : undefined;
  const known = { plan, model, sizes: sizesOf(plan, model, source.bytes), written: a.size, ...(comparison ? { comparison } : {}) };
  return { requires: judge(plan, known), metrics: evaluations(plan, known), ...(comparison ? { comparison } : {}) };
}

/** Outputs of the sites whose weights have codes, in the main graph. */
const layerOutputs = ({ plan }: Assessed): string[] =>
  plan.slots.flatMap((s) => (s.port === 'weight' && s.site.graph === '' && s.site.ports['output'] ? [s.site.ports['output'].value] : []));

/** Runs the lowered and the simulated model on one batch. Error: `not-proved`. */
async function proveOn({ plan, source, simulated, lowered, options, run }: Assessed): Promise<void> {
  const data = await judgingSource(plan, source.dir, options, undefined);
  for await (const { feeds, label } of firstBatches(data, 1).read(source.model.graph)) {
    const differences = await prove(options.host, simulated, lowered.model, source.dir, [feeds]);
    const worst = Math.max(0, ...differences.map((d) => d.relative));
    run.note(
      'proof',
      `${differences.length} outputs of the lowered model equal those of the simulated one within ${worst.toExponential(1)} on ${splitPath(label).name}`,
    );
  }
}
