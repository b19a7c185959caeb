/** Measures the lowered model: proves that it is the simulated one, and judges the contract. */
import type { Lowered } from '../define.ts';
import { type Comparison, compare } from '../evaluate/index.ts';
import type { Planned } from '../plan/plan.ts';
import { sizesOf } from '../plan/size.ts';
import type { Simulated } from '../simulated.ts';
import { hasData, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import { prove } from './proof.ts';
import { evaluations, judge, metricsToCompare, needsSpeed, outputsToCompare } from './require.ts';
import type { Run } from './run.ts';
import { measureSpeedup } from './speed.ts';
import type { CompileOptions, CompileResult, Required } from './types.ts';

export interface Assessment {
  /** Bytes that will be written. */
  readonly size: number;
  readonly requires: readonly Required[];
  readonly metrics: CompileResult['metrics'];
  readonly comparison?: Comparison;
}

interface Assessed {
  readonly plan: Planned;
  readonly source: Source;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  /** Bytes that will be written: computed while the proof waits for its sessions. */
  readonly size: () => Promise<number>;
  /** Data of the float model as the rewritten one reads it. */
  readonly adapt?: Source['adapt'] | undefined;
  readonly options: CompileOptions;
  readonly run: Run;
}

/** Larger models are not run twice only to be proved. */
const PROVE_LIMIT = 2 ** 30;

/** Errors: `data-unbound` where something has to be measured and there is nothing to measure on; `not-proved`. */
export async function assess(a: Assessed): Promise<Assessment> {
  const { plan, source, options, lowered } = a;
  const { model } = a.simulated;
  const outputs = outputsToCompare(plan, model);
  const available = hasData(plan, options);
  const proved = available && source.bytes <= PROVE_LIMIT;
  const [size] = await Promise.all([a.size(), proved ? prove(a) : undefined]);
  if (!proved) a.run.note('proof', available ? 'not run: the model is larger than 1 GiB' : 'not run: no data is bound');
  const layers = options.histograms && available ? layerOutputs(a) : [];
  const needed = outputs.length > 0 || layers.length > 0;
  const by = (plan.requires[0] ?? plan.evaluations[0])?.by;
  const comparison = needed
    ? await compare({
        host: options.host,
        reference: source,
        actual: { model: lowered.model, dir: source.dir, ...(a.adapt ? { adapt: a.adapt } : {}) },
        source: await judgingSource(plan, source.dir, options, by),
        outputs,
        metrics: metricsToCompare(plan),
        layers,
        onProgress: (done, total) => a.run.onEvent({ phase: 'measure', done, ...(total === undefined ? {} : { total }) }),
        ...(options.signal ? { signal: options.signal } : {}),
      })
    : undefined;
  const speed = needsSpeed(plan) ? await measureSpeedup(lowered.model, source, options) : undefined;
  for (const s of speed ?? [])
    a.run.note(
      'speed',
      `${s.kind}: ${s.median.toFixed(2)}x the float model on this machine, 95 % interval ${s.low.toFixed(2)}–${s.high.toFixed(2)}`,
    );
  const sizes = sizesOf(plan, model, source.bytes);
  const known = { plan, model, sizes, written: size, ...(comparison ? { comparison } : {}), ...(speed ? { speed } : {}) };
  return { size, requires: judge(plan, known), metrics: evaluations(plan, known), ...(comparison ? { comparison } : {}) };
}

/** Outputs of the sites whose weights have codes, in the main graph. */
const layerOutputs = ({ plan }: Assessed): string[] =>
  plan.slots.flatMap((s) => (s.port === 'weight' && s.site.graph === '' && s.site.ports['output'] ? [s.site.ports['output'].value] : []));
