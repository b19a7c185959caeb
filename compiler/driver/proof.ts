/** Proof of the lowered model on one batch of the data that it is judged by. */
import { fail } from '../../grammar/diagnostics.ts';
import { type Batch, splitPath } from '../calibrate/source.ts';
import type { Lowered } from '../define.ts';
import type { Model } from '../graph/types.ts';
import type { Host } from '../host.ts';
import { compareOutputs, type Difference, TOLERANCE } from '../lower/prove.ts';
import { compareSites, siteTolerance } from '../lower/segments.ts';
import type { Planned } from '../plan/plan.ts';
import { simulate } from '../simulate/simulate.ts';
import type { Simulated } from '../simulated.ts';
import { firstBatches, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import { Parts } from './parts.ts';
import type { Run } from './run.ts';
import type { CompileOptions } from './types.ts';

/** Bytes of a model whose weights are fed. */
const FED = 256 << 20;

/**
 * Runs the lowered and the simulated model on one batch. Weights alone: equal up to the order of float sums. With rounded activations a tie that
 * falls the other way in an early layer moves codes in all later ones, so that two exact realisations may differ by up to the rounding error itself.
 * Then every site must be equal on equal inputs, and the whole must stay below what the simulated model differs from the float one.
 * Error: `not-proved`, the first wrong site or the worst output named.
 */
export async function prove(a: {
  readonly plan: Planned;
  readonly source: Source;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  readonly options: CompileOptions;
  readonly run: Run;
}): Promise<void> {
  const { plan, source, simulated, lowered, options, run } = a;
  const { host } = options;
  const rounded = simulated.values.some((v) => v.type.codes);
  const parts = new Parts(host, source.dir);
  // Weights that are fed are copied into no file, but all in memory. Sums in the last bit's other order would move codes of rounded activations.
  const open = !rounded && source.bytes <= FED ? (model: Model) => parts.session(model, undefined) : undefined;
  const limit = rounded ? TOLERANCE.rounded : TOLERANCE.floats;
  const data = await judgingSource(plan, source.dir, options, undefined);
  try {
    for await (const { feeds, label } of firstBatches(data, 1).read(source.model.graph)) {
      const meant = simulate(simulated);
      const found = await compareOutputs(host, meant, lowered.model, source.dir, [feeds], open);
      const far = found.filter((d) => !(d.relative <= limit));
      if (rounded && far.length) await proveSites(simulated, meant, lowered.model, source.dir, feeds, host);
      const rounding = rounded && far.length ? await compareOutputs(host, simulated.model, meant, source.dir, [feeds]) : [];
      const allowed = (d: Difference) => Math.max(limit, rounding.find((r) => r.output === d.output)?.relative ?? 0);
      const wrong = far.filter((d) => !(d.relative <= allowed(d))).sort((x, y) => y.relative - x.relative)[0];
      if (wrong)
        unproved(
          `output "${wrong.output}" of the lowered model differs from the simulated one by ${wrong.relative.toExponential(2)}; rounding explains ${allowed(wrong).toExponential(2)}`,
        );
      const worst = found.reduce((m, d) => Math.max(m, d.relative), 0);
      run.note(
        'proof',
        `${found.length} outputs of the lowered model equal those of the simulated one within ${worst.toExponential(1)} on ${splitPath(label).name}`,
      );
    }
  } finally {
    await parts.close();
  }
}

async function proveSites(s: Simulated, meant: Model, lowered: Model, dir: string, feeds: Batch['feeds'], host: Host): Promise<void> {
  const limit = siteTolerance(s);
  const wrong = (await compareSites(host, meant, lowered, s.sites, dir, { ...feeds })).find((d) => !(d.relative <= limit));
  if (wrong)
    unproved(
      `${wrong.name}: "${wrong.value}" of the lowered model differs from the simulated one by ${wrong.relative.toExponential(2)} on equal inputs (limit ${limit.toExponential(1)})`,
    );
}

const unproved = (message: string): never => fail('not-proved', message, 'this is a fault of the target: please report it with the recipe');
