/** Proof of the lowered model on one batch of the data that it is judged by. */
import { splitPath } from '../calibrate/source.ts';
import type { Lowered } from '../define.ts';
import { prove as proveLowered } from '../lower/prove.ts';
import type { Planned } from '../plan/plan.ts';
import type { Simulated } from '../simulated.ts';
import { firstBatches, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import type { CompileOptions } from './types.ts';

/** Runs the lowered and the simulated model on one batch. Error: `not-proved`. */
export async function prove(a: {
  readonly plan: Planned;
  readonly source: Source;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  readonly options: CompileOptions;
  readonly run: Run;
}): Promise<void> {
  const { plan, source, simulated, lowered, options, run } = a;
  const data = await judgingSource(plan, source.dir, options, undefined);
  for await (const { feeds, label } of firstBatches(data, 1).read(source.model.graph)) {
    const differences = await proveLowered(options.host, simulated, lowered.model, source.dir, [feeds]);
    const worst = Math.max(0, ...differences.map((d) => d.relative));
    run.note(
      'proof',
      `${differences.length} outputs of the lowered model equal those of the simulated one within ${worst.toExponential(1)} on ${splitPath(label).name}`,
    );
  }
}
