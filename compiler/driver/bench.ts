/** What trials of a search share: the model, its statistics, a way to run a plan. */
import type { Source as DataSource } from '../calibrate/index.ts';
import { compare } from '../evaluate/index.ts';
import type { Planned } from '../plan/plan.ts';
import type { Binding } from '../recipe.ts';
import { simulate } from '../simulate/simulate.ts';
import { judgingSource } from './data.ts';
import { encode } from './encode.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import type { SearchContext } from './search.ts';
import type { Calibrated } from './statistics.ts';
import type { CompileOptions } from './types.ts';

/** The context of all searches of a run. Plans are judged on the simulated model: what the numbers mean, whatever target they are for. */
export function bench(
  source: Source,
  planAt: (b: Binding) => Planned,
  calibrated: Calibrated | undefined,
  options: CompileOptions,
  run: Run,
): SearchContext {
  const { crunch } = options.host;
  let data: Promise<DataSource> | undefined;
  return {
    plan: planAt,
    onTrial: (trials) => run.onEvent({ phase: 'search', done: trials }),
    ...(options.signal ? { signal: options.signal } : {}),
    bench: {
      model: source.model,
      bytes: source.bytes,
      crunch,
      reader: source.reader,
      statistics: calibrated?.statistics,
      errors: new Map(),
      async compare(plan, outputs) {
        data ??= judgingSource(plan, source.dir, options, plan.nested[0]?.by);
        const model = simulate(await encode(plan, source.model, calibrated?.statistics, crunch));
        return compare({
          host: options.host,
          reference: source,
          actual: { model, dir: source.dir },
          source: await data,
          outputs,
          ...(options.signal ? { signal: options.signal } : {}),
        });
      },
    },
  };
}
