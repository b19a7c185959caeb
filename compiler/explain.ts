/** `explain`: what a recipe would do to a model, and who decides. Computes no number and writes nothing. */

import { type Explanation, explainPlan } from './driver/explanation.ts';
import { openModel } from './driver/model.ts';
import { emittedBy } from './driver/ops.ts';
import { planner } from './driver/planner.ts';
import { readRecipe, readSelection } from './driver/recipe.ts';
import { chooseTarget } from './driver/target.ts';
import type { PlanOptions } from './driver/types.ts';
import { select } from './plan/select.ts';

export { type ExplainedPort, type Explanation, explanationText, type Said } from './driver/explanation.ts';

/** Explains a recipe on a model; `selection` (in the recipe's language) limits what is shown. Errors: those of checking, loading and planning. */
export async function explain(options: PlanOptions, selection?: string): Promise<Explanation> {
  const { recipe } = await readRecipe(options);
  const model = await openModel(options.host, options.model);
  try {
    const plan = planner(recipe, model, options)(options.replay ?? {});
    const { target, args } = chooseTarget(plan, options.target);
    const only =
      selection === undefined
        ? undefined
        : new Set(select(readSelection(selection), { model: model.model, sites: model.sites }).sites.map((s) => s.id));
    const emitted = await emittedBy(plan, model.model, target, args);
    return explainPlan(plan, model.model, model.bytes, target, emitted, only);
  } finally {
    await model.close();
  }
}
