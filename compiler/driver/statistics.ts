/** The statistics that a plan needs: from data, from a record, or none at all. */
import { fail } from '../../grammar/diagnostics.ts';
import { calibrate, decodeStatistics, type Need, refText, type Source, type Statistics } from '../calibrate/index.ts';
import { splitPath } from '../calibrate/source.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { adapted, openSource } from './data.ts';
import { needOf as needOfValue, observed, weighsInputs } from './encode.ts';
import { needOf, rowsOf } from './errors.ts';
import { hashed } from './hash.ts';
import { objectiveOf } from './metrics.ts';
import type { Source as ModelSource } from './model.ts';
import { calls, onLayers } from './score.ts';
import type { CompileOptions, Event } from './types.ts';

export interface Calibrated {
  readonly statistics: Statistics;
  /** Made in this run (to be saved), not read from a record. */
  readonly fresh: boolean;
  readonly dataHash?: string;
}

/** What the static activations of some plans need, and what searches on layers do (plans under a binding no longer have them). Each once. */
export function needsOf(plans: readonly Planned[], nested = plans.flatMap((p) => p.nested)): Need[] {
  const layered = nested.some((s) => onLayers(s.objective, s.scope));
  const onRows = nested.some((s) => calls(s.objective, s.scope).some((c) => objectiveOf(c.name)?.rows));
  const needs = new Map<string, Need>();
  const add = (n: Need) => needs.set(`${n.value}\n${refText(n.observer)}`, n);
  for (const plan of plans) {
    for (const slot of observed(plan)) add(needOfValue(slot));
    for (const slot of plan.slots) {
      const need = weighsInputs(slot) && slot.site.graph === '' ? needOf(slot.site) : undefined;
      if (need) add(need);
    }
    if (layered && plan.calibration)
      for (const slot of plan.slots) {
        const need = slot.port === 'weight' && slot.site.graph === '' ? needOf(slot.site) : undefined;
        if (need) add(need);
        const seen = slot.port === 'weight' ? onRows : slot.port === 'input' && slot.type?.codes?.kind === 'int';
        const rows = seen && slot.site.graph === '' ? rowsOf(slot.site) : undefined;
        if (rows) add(rows);
      }
  }
  return [...needs.values()];
}

/** Calibrates, or reads the record of `--stats`. Errors: `calibration-missing` (static types and no `calibrate`), `data-unbound`, those of calibration. */
export async function statisticsFor(
  needs: readonly Need[],
  plan: Planned,
  model: ModelSource,
  options: CompileOptions,
  onEvent: (e: Event) => void,
): Promise<Calibrated | undefined> {
  if (needs.length === 0) return undefined;
  if (options.stats !== undefined)
    return { statistics: (await readRecord(options, options.stats)).expectGraph(await model.fingerprint()), fresh: false };
  if (!plan.calibration) return missing(plan);
  const { source: ref, fields, by } = plan.calibration;
  const source: Source & { hash(): Promise<string | undefined> } = hashed(
    adapted(await openSource(ref, fields, by, model.dir, options), model),
  );
  const statistics = await calibrate({
    host: options.host,
    model: model.model,
    dir: model.dir,
    source,
    needs,
    hash: await model.fingerprint(),
    onProgress: ({ pass, passes, batch, batches }) =>
      onEvent({
        phase: 'calibrate',
        done: pass * (batches ?? batch) + batch,
        ...(batches === undefined ? {} : { total: batches * passes }),
      }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const dataHash = await source.hash();
  return { statistics, fresh: true, ...(dataHash === undefined ? {} : { dataHash }) };
}

async function readRecord(options: CompileOptions, path: string): Promise<Statistics> {
  const { folder, name } = splitPath(path);
  const file = await options.host.open(folder, name);
  try {
    return decodeStatistics(await file.read(0, file.size), path);
  } finally {
    await file.close();
  }
}

function missing(plan: Planned): never {
  const slot = observed(plan)[0];
  const message = slot
    ? `${slot.port} of ${slot.site.path} is static: its scale comes from calibration data, and the recipe names none.`
    : 'The recipe needs calibration data and names none.';
  const hint = 'Add `calibrate data("calib")` to the recipe and give --data calib=DIR; or write { mode: dynamic }.';
  return slot ? failAt('calibration-missing', message, slot.by.span, hint) : fail('calibration-missing', message, hint);
}
