/** Plans recipes on the committed models. */
import { check } from '../../compiler/check/check.ts';
import { openModel, type Source } from '../../compiler/driver/model.ts';
import { names } from '../../compiler/driver/planner.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { type Planned, plan } from '../../compiler/plan/plan.ts';
import type { Binding, Recipe } from '../../compiler/recipe.ts';
import { type Diagnostic, QcError } from '../../grammar/diagnostics.ts';

const open = new Map<string, Promise<Source>>();

/** One of test/models, opened once. */
export function model(name: string): Promise<Source> {
  const known = open.get(name) ?? nodeHost().then((host) => openModel(host, `test/models/${name}/model.onnx`));
  open.set(name, known);
  return known;
}

/** Checks a text; the body alone stands for a recipe `r`. The last recipe is given. */
export function recipeOf(text: string, given: readonly string[] = []): Recipe {
  const whole = text.includes('recipe ') ? text : `recipe r version "1.0.0" {\n${text}\n}\n`;
  const { program, diagnostics } = check({ path: 'r.qrecipe', text: whole }, undefined, { given: new Set(given) });
  if (!program) throw new QcError(diagnostics);
  return program.recipes.at(-1)!;
}

export interface Options {
  readonly params?: Record<string, number | string | boolean>;
  readonly binding?: Binding;
}

/** Plans a recipe on a model. */
export async function planned(name: string, text: string, o: Options = {}): Promise<Planned> {
  const m = await model(name);
  return plan({ recipe: recipeOf(text, Object.keys(o.params ?? {})), model: m.model, sites: m.sites, names, ...o });
}

/** The type of one port, `float` where it has none. */
export const typeOf = (p: Planned, path: string, port = 'weight'): string =>
  p.slots.find((s) => s.site.path === path && s.port === port)?.type?.text ?? 'float';

/** The one error that a plan throws. */
export async function refused(name: string, text: string, o: Options = {}): Promise<Diagnostic> {
  try {
    await planned(name, text, o);
  } catch (e) {
    if (e instanceof QcError) return e.diagnostics[0]!;
    throw e;
  }
  throw new Error('no error');
}
