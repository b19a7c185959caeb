/** `compile`: model + recipe → quantized model. The function reads as the pipeline. */

import { assess } from './driver/assess.ts';
import { bench } from './driver/bench.ts';
import { emittedCaches } from './driver/caches.ts';
import { correct } from './driver/correct.ts';
import { digesting } from './driver/digests.ts';
import { dumpsOf } from './driver/dumps.ts';
import { checkWritable, emit, writtenSize } from './driver/emit.ts';
import { encode } from './driver/encode.ts';
import { explainPlan } from './driver/explanation.ts';
import { UNKNOWN } from './driver/hash.ts';
import { lawful } from './driver/lawful.ts';
import { originOf, withOrigin } from './driver/metadata.ts';
import { metered } from './driver/meter.ts';
import { openModel, type Source } from './driver/model.ts';
import { planner } from './driver/planner.ts';
import { readRecipe } from './driver/recipe.ts';
import { reportOf } from './driver/report.ts';
import { chooseRestarts, withRestarts } from './driver/restarts.ts';
import { Run } from './driver/run.ts';
import { searchAll } from './driver/search.ts';
import { solve } from './driver/solve.ts';
import { staging } from './driver/stage.ts';
import { checkCovered, chooseTarget } from './driver/target.ts';
import { trialPlans } from './driver/trials.ts';
import type { CompileOptions, CompileResult } from './driver/types.ts';
import type { Binding } from './recipe.ts';

export type { CompileOptions, CompileResult, Dump, Event, PlanOptions, Required } from './driver/types.ts';

/**
 * Compiles. A failed `require` is a result with `ok: false`, and nothing is written; wrong input is a QcError, and nothing is written.
 * Weights stay in their files until they are written, one at a time.
 */
export async function compile(options: CompileOptions): Promise<CompileResult> {
  const run = new Run(options);
  // Where there is data something will run, and what runs it loads meanwhile.
  if (options.data && Object.keys(options.data).length > 0) options.host.lanes?.().catch(() => undefined);
  const meter = metered(digesting(options.host.crunch));
  const read = await run.phase('check', () => readRecipe(options));
  run.warnings.push(...read.warnings);
  await checkWritable(options);
  const source = await run.phase('load', () => openModel({ ...options.host, crunch: meter.crunch }, options.model));
  try {
    const planOn = (on: Source, binding: Binding) => planner(read.recipe, on, options)(binding);
    const planAt = (binding: Binding) => planOn(source, binding);
    const first = await run.phase('plan', () => planAt(options.replay ?? {}));
    const { target, args } = chooseTarget(first, options.target);
    const trials = trialPlans(first, planAt);
    for (const p of trials) checkCovered(p, target);
    const stage = staging(source, planOn, trials, options, run);
    await run.phase('calibrate', () => stage.open(first));
    const trying = bench(source, planAt, stage, options, run);
    const binding = await run.phase('search', () => searchAll(first.nested, first.binding, trying));
    const chosen = planAt(binding);
    const restarts = await run.phase('search', () => chooseRestarts(chosen, source.model, trying.bench, run));
    const staged = await run.phase('transform', () => stage.final(withRestarts(chosen, restarts)));
    const { plan, source: rewritten, calibrated } = staged;
    lawful(rewritten.model, 'rewritten', 'transform');
    const encoded = await run.phase('encode', () => encode(plan, rewritten.model, calibrated?.statistics, options.host.crunch));
    const solving = {
      plan,
      source: rewritten,
      simulated: encoded,
      crunch: meter.crunch,
      ingredients: async () => {
        const nothing = { lowered: { emitted: [] }, run: { ledger: [] } };
        return originOf({ read, plan, target: target.name, model: await source.fingerprint(), calibrated, options, ...nothing });
      },
      options,
      run,
    };
    const simulated = await run.phase('solve', async () => correct(solving, await solve(solving)));
    const lowered = await run.phase('lower', () => target.lower(simulated, args as never));
    const emitted = await run.phase('lower', () =>
      emittedCaches({ plan, source, simulated, lowered, target, args, adapt: rewritten.adapt, options, run }),
    );
    lawful(emitted.model, 'lowered', 'lower');
    const made = async (fingerprint: string) =>
      withOrigin(
        emitted.model,
        plan,
        await originOf({
          read,
          plan,
          target: target.name,
          model: fingerprint,
          calibrated: stage.record(staged),
          lowered: emitted,
          options,
          run,
        }),
      );
    const unnamed = await made(UNKNOWN);
    const size = () => writtenSize(unnamed, source.reader);
    const found = await run.phase('measure', () =>
      assess({ plan, source, simulated, lowered, size, adapt: rewritten.adapt, options, run }),
    );
    const ok = found.requires.every((r) => r.passed);
    const files = ok
      ? await run.phase('write', () => emit(emitted.model, source, made, meter.crunch, stage.record(staged), options, run))
      : [];
    const explanation = explainPlan(plan, rewritten.model, source.bytes, target, emitted.emitted);
    return {
      ok,
      recipe: plan.recipe,
      version: plan.version,
      target: target.name,
      files,
      bytes: {
        before: source.bytes,
        after: ok ? files.filter((f) => !f.path.endsWith('.qstats')).reduce((n, f) => n + f.bytes, 0) : found.size,
      },
      coverage: explanation.coverage,
      plan,
      requires: found.requires,
      metrics: found.metrics,
      binding,
      warnings: run.warnings,
      seconds: run.seconds,
      dumps: dumpsOf(options.dumps ?? [], { read, explanation, source, lowered }),
      report: await reportOf({
        read,
        plan,
        explanation,
        simulated,
        lowered,
        found,
        calibrated,
        errors: meter.errors,
        source,
        files,
        size: found.size,
        options,
        run,
      }),
    };
  } finally {
    for (const last of run.atEnd) await last();
    await source.close();
  }
}
