/** What trials of a search share: the model, its statistics, a way to run a plan. */
import type { Source as DataSource } from '../calibrate/index.ts';
import { Answers, compare } from '../evaluate/index.ts';
import type { Planned } from '../plan/plan.ts';
import type { Binding } from '../recipe.ts';
import { simulate } from '../simulate/simulate.ts';
import { judgingSource } from './data.ts';
import { encode } from './encode.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import type { SearchContext } from './search.ts';
import type { Staging } from './stage.ts';
import type { CompileOptions } from './types.ts';

/** The context of all searches of a run. Plans are judged on the simulated model: what the numbers mean, whatever target they are for. */
export function bench(source: Source, planAt: (b: Binding) => Planned, stage: Staging, options: CompileOptions, run: Run): SearchContext {
  const { crunch } = options.host;
  let data: Promise<DataSource> | undefined;
  const answers = new Answers();
  return {
    plan: planAt,
    onTrial: (trials) => run.onEvent({ phase: 'search', done: trials }),
    ...(options.signal ? { signal: options.signal } : {}),
    bench: {
      bytes: source.bytes,
      crunch,
      reader: source.reader,
      errors: new Map(),
      rows: new Map(),
      stage: stage.of,
      async compare(plan, { outputs, metrics, inner }) {
        data ??= judgingSource(plan, source.dir, options, plan.nested[0]?.by);
        const at = await stage.of(plan);
        const model = simulate(await encode(at.plan, at.source.model, at.calibrated?.statistics, crunch));
        const { adapt } = at.source;
        const here = { dir: source.dir, ...(adapt ? { adapt } : {}) };
        return compare({
          host: options.host,
          reference: inner ? { model: at.source.model, ...here } : source,
          actual: { model, ...here },
          source: await data,
          outputs,
          metrics,
          ...(inner ? {} : { answers }),
          ...(options.signal ? { signal: options.signal } : {}),
        });
      },
    },
  };
}
