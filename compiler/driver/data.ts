/** Data behind the names of a recipe: `data("calib")` with `--data calib=DIR`. */

import { fail } from '../../grammar/diagnostics.ts';
import { dataSource, type Source, textSource } from '../calibrate/index.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { Decider } from '../plan/types.ts';
import type { Ref } from '../schema.ts';
import type { Source as ModelSource } from './model.ts';
import type { CompileOptions } from './types.ts';

const count = (v: unknown): number | undefined => (typeof v === 'number' ? v : undefined);

/** Opens a source. Errors: `data-unbound` (names the option to give), those of the source. */
export async function openSource(
  ref: Ref,
  fields: Readonly<Record<string, unknown>>,
  by: Decider | undefined,
  dir: string,
  options: CompileOptions,
): Promise<Source> {
  const name = String(ref.args['name'] ?? '');
  const path = options.data?.[name];
  if (path === undefined) return unbound(name, ref.name, by);
  const samples = count(fields['samples']);
  const length = count(fields['length']);
  if (ref.name === 'text')
    return textSource(options.host, path, {
      tokenizerFolder: dir,
      ...(samples === undefined ? {} : { samples }),
      ...(length === undefined ? {} : { length }),
    });
  return dataSource(options.host, path, samples === undefined ? {} : { samples });
}

/** The data on which a model is judged: `--data eval=…` where it is bound, else the calibration data. */
export async function judgingSource(plan: Planned, dir: string, options: CompileOptions, by: Decider | undefined): Promise<Source> {
  if (options.data?.['eval'] !== undefined) return dataSource(options.host, options.data['eval']);
  if (plan.calibration) return openSource(plan.calibration.source, plan.calibration.fields, plan.calibration.by, dir, options);
  const message = 'This is measured on data, and no data is bound.';
  const hint = 'Give --data eval=DIR, or add `calibrate data("calib")` to the recipe and give --data calib=DIR.';
  return by ? failAt('data-unbound', message, by.span, hint) : fail('data-unbound', message, hint);
}

/** Can anything be measured? */
export const hasData = (plan: Planned, options: CompileOptions): boolean =>
  options.data?.['eval'] !== undefined ||
  (plan.calibration !== undefined && options.data?.[String(plan.calibration.source.args['name'] ?? '')] !== undefined);

/** The first batches of a source. */
export const firstBatches = (source: Source, most: number): Source => ({
  describe: source.describe,
  async *read(graph) {
    let left = most;
    for await (const batch of source.read(graph)) {
      yield batch;
      if (--left <= 0) return;
    }
  },
});

/** A source of the float model as the rewritten one wants it. */
export const adapted = (source: Source, model: Pick<ModelSource, 'adapt'>): Source =>
  model.adapt === undefined
    ? source
    : {
        ...source,
        async *read(graph) {
          for await (const batch of source.read(graph)) yield { ...batch, feeds: model.adapt!(batch.feeds) };
        },
      };

function unbound(name: string, kind: string, by: Decider | undefined): never {
  const message = `The recipe reads ${kind}("${name}"), and nothing says where that is.`;
  const hint = `Give it on the command line: --data ${name}=${kind === 'text' ? 'FILE' : 'DIR'}.`;
  return by ? failAt('data-unbound', message, by.span, hint) : fail('data-unbound', message, hint);
}
