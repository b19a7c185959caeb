/** From a plan to what is encoded: transforms, then the statistics that the rewritten model needs. */
import type { Planned } from '../plan/plan.ts';
import type { Binding } from '../recipe.ts';
import { proveTransforms } from './equivalence.ts';
import type { Source } from './model.ts';
import { type Prepared, rewriting } from './rewrite.ts';
import type { Run } from './run.ts';
import { type Calibrated, needsOf, statisticsFor } from './statistics.ts';
import type { CompileOptions } from './types.ts';

/** A plan on the model that its transforms leave, with the statistics of that model. */
export interface Staged extends Prepared {
  readonly calibrated: Calibrated | undefined;
  /** The same for plans with the same transforms; '' without any. */
  readonly key: string;
}

export interface Staging {
  /** What can be done once for all trials. Errors: those of calibration. */
  open(first: Planned): Promise<void>;
  of(plan: Planned): Promise<Staged>;
  /** As `of`, proved and noted in the ledger. Errors: `not-equivalent`. */
  final(plan: Planned): Promise<Staged>;
  /** The statistics to be saved: those of the float model that was opened. */
  record(s: Staged): Calibrated | undefined;
}

/** `trials`: plans under which every type appears that a search may choose. */
export function staging(
  source: Source,
  planOn: (s: Source, b: Binding) => Planned,
  trials: readonly Planned[],
  options: CompileOptions,
  run: Run,
): Staging {
  const rewrites = rewriting(source, planOn, options, run);
  const known = new Map<string, { source: Source; calibrated: Promise<Calibrated | undefined>; key: string }>();
  const { stats: _, ...onData } = options;
  const nested = trials.flatMap((t) => t.nested);

  async function of(plan: Planned): Promise<Staged> {
    const prepared = await rewrites.prepare(plan);
    if (prepared.applied.length === 0) {
      const key = '';
      const calibrated = known.get(key)?.calibrated ?? statisticsFor(needsOf(trials, nested), plan, source, options, run.onEvent);
      known.set(key, { source, calibrated, key });
      return { ...prepared, calibrated: await calibrated, key };
    }
    // what is observed depends on the types too, so each set of needs is observed once on each rewritten model
    const needs = needsOf([prepared.plan, ...trials.map((t) => planOn(prepared.source, t.binding))], nested);
    const key = `${known.size}`;
    const same = [...known.values()].find((k) => k.source === prepared.source);
    const entry = same ?? { source: prepared.source, calibrated: statisticsFor(needs, plan, prepared.source, onData, run.onEvent), key };
    if (!same) known.set(key, entry);
    return { ...prepared, calibrated: await entry.calibrated, key: entry.key };
  }

  return {
    of,
    async open(first) {
      if (first.transforms.length === 0) await of(first);
    },
    async final(plan) {
      const staged = await of(plan);
      for (const a of staged.applied) run.note(`transform ${a.kind}`, `${a.name}: ${a.detail}`);
      const caches = [...new Set(staged.applied.flatMap((a) => [...(a.caches?.keys() ?? [])]))];
      if (caches.length)
        run.warnings.push({
          code: 'cache-scaled',
          message: `The caches ${caches.slice(0, 2).join(', ')}${caches.length > 2 ? ` and ${caches.length - 2} more` : ''} hold scaled or reordered values: only this model can read them.`,
        });
      await proveTransforms(source, staged, options, run);
      return staged;
    },
    record: (s) => (s.applied.length ? rewrites.observed() : s.calibrated),
  };
}
