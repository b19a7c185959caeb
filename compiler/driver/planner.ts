/** Plans one recipe on one model, under any binding. */
import { formats } from '../formats/index.ts';
import { laws } from '../laws/index.ts';
import { type Planned, plan } from '../plan/plan.ts';
import type { Names } from '../plan/resolve.ts';
import type { Binding, Recipe, Statement } from '../recipe.ts';
import { solvers } from '../solvers/index.ts';
import { transforms } from '../transforms/index.ts';
import type { Source } from './model.ts';
import type { PlanOptions } from './types.ts';

export const names = { formats, laws, transforms, solvers } as unknown as Names;

/** A function from bindings to plans. Variables that a binding leaves out take the first value of their domain. */
export const planner =
  (recipe: Recipe, model: Source, options: Pick<PlanOptions, 'params'>, without?: ReadonlySet<Statement>) =>
  (binding: Binding): Planned =>
    plan({
      recipe,
      model: model.model,
      sites: model.sites,
      names,
      binding,
      ...(options.params ? { params: options.params } : {}),
      ...(without ? { without } : {}),
    });
