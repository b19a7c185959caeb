/** The recipe that is compiled: its file read, checked, one recipe chosen. */
import { type Diagnostic, fail, QcError } from '../../grammar/diagnostics.ts';
import { splitPath } from '../calibrate/source.ts';
import { check, type Resolver } from '../check/check.ts';
import type { Program, Recipe, Selection } from '../recipe.ts';
import type { PlanOptions } from './types.ts';

export interface Read {
  readonly program: Program;
  readonly recipe: Recipe;
  readonly file: string;
  readonly text: string;
  /** What is no mistake and should be known: names that others have replaced. */
  readonly warnings: readonly Diagnostic[];
}

/** `file.qrecipe#name` → file and name. */
function splitName(spec: string): { file: string; name?: string } {
  const at = spec.lastIndexOf('#');
  return at < 1 ? { file: spec } : { file: spec.slice(0, at), name: spec.slice(at + 1) };
}

/** Reads and checks. Throws every mistake of the recipe at once; `recipe-missing`, `recipe-several` where it is unclear which one is meant. */
export async function readRecipe(options: PlanOptions): Promise<Read> {
  const { file, name } = splitName(options.recipe);
  const text = options.text ?? (await readText(options, file));
  const given = new Set(Object.keys(options.params ?? {}));
  const { program, diagnostics } = check({ path: file, text }, options.resolve, {
    given: new Set([...given, ...Object.keys(options.replay ?? {})]),
  });
  if (!program) throw new QcError(diagnostics);
  return { program, recipe: choose(program, file, name), file, text, warnings: diagnostics };
}

function choose(program: Program, file: string, name: string | undefined): Recipe {
  const names = program.recipes.map((r) => r.name);
  // What a file takes in from others is named; its own single recipe need not be.
  const own = program.recipes.filter((r) => r.file === file);
  const found = name === undefined ? (own.length === 1 ? own[0] : undefined) : program.recipes.find((r) => r.name === name);
  if (found) return found;
  if (names.length === 0) return fail('recipe-missing', `${file} has no recipe.`, 'Add `recipe name version "1.0.0" { … }`.');
  if (name === undefined)
    return fail('recipe-several', `${file} has several recipes.`, `Say which: ${names.map((n) => `${file}#${n}`).join(', ')}.`);
  return fail('recipe-missing', `${file} has no recipe \`${name}\`.`, `It has ${names.join(', ')}.`);
}

async function readText(options: PlanOptions, path: string): Promise<string> {
  const { folder, name } = splitPath(path);
  const file = await options.host.open(folder, name);
  try {
    return new TextDecoder().decode(await file.read(0, file.size));
  } finally {
    await file.close();
  }
}

/** A selection as a user types it: `linear and path("layers.0.*")`. */
export function readSelection(text: string, resolve?: Resolver): Selection {
  const { program, diagnostics } = check({ path: 'selection', text: `recipe r version "1.0.0" {\n  keep ${text}\n}\n` }, resolve);
  const keep = program?.recipes[0]?.statements.find((s) => s.verb === 'keep');
  if (!keep) throw new QcError(diagnostics);
  return keep.of;
}
