/** `check`: a recipe file with everything that it uses → a program, or every mistake at once. */
import type * as Ast from '../../grammar/ast.ts';
import type { Diagnostic, Span } from '../../grammar/diagnostics.ts';
import { parse } from '../../grammar/parser.ts';
import { type Deprecation, deprecations } from '../catalog/deprecations.ts';
import type { Program, Recipe } from '../recipe.ts';
import { type Context, diagnostic, type FileScope, type Local } from './context.ts';
import { checkRecipe, fileContext, letLocal } from './recipe.ts';
import { checkEvaluate, type RecipeOf } from './statement.ts';

export interface SourceText {
  readonly path: string;
  readonly text: string;
  /** The package that the file is of: `@scope/name@version`, and the old names that its package.json tells. */
  readonly package?: string;
  readonly deprecations?: readonly Deprecation[];
}
/** Finds what `use` names: a file beside `from`, or a package. Gives its entry's path and text, or why not. */
export type Resolver = (
  spec: string,
  from: string,
) => SourceText | { readonly error: string; readonly code?: 'path-escape' | 'package-code' | 'version-conflict'; readonly hint?: string };

export interface Checked {
  /** Absent where there are errors. */
  readonly program?: Program;
  readonly diagnostics: readonly Diagnostic[];
  /** Path → text of every file that was read: for caret frames and for the lock. */
  readonly sources: ReadonlyMap<string, string>;
  /** Recipes by name: those of the file, and of files that it uses as `*`. */
  readonly declared: ReadonlyMap<string, Ast.RecipeDecl>;
}
export interface CheckOptions {
  /** Names that the command line binds. */
  readonly given?: ReadonlySet<string>;
  /** Also tell of other spellings than the canonical ones, each with its fix. */
  readonly spellings?: boolean;
  /** Old names of the language. */
  readonly deprecations?: readonly Deprecation[];
}

/** Checks a file and what it uses. Never throws for wrong text. Without a resolver every `use` is an error. */
export function check(root: SourceText, resolve?: Resolver, options: CheckOptions = {}): Checked {
  const diagnostics: Diagnostic[] = [];
  const seen = new Set<string>();
  const unread: Span[] = [];
  const tell = (d: Diagnostic): void => {
    const at = d.span;
    if (at && unread.some((u) => u.file === at.file && u.start <= at.start && at.start <= u.end)) return;
    const key = `${d.code}@${d.span?.file}:${d.span?.start}:${d.message}`;
    if (!seen.has(key)) diagnostics.push(d);
    seen.add(key);
  };
  const sources = new Map<string, string>();
  const file = load(
    root,
    {
      resolve: resolve ?? (() => ({ error: 'Nothing here can read files that are used' })),
      sources,
      loaded: new Map(),
      tell,
      unread,
      deprecations: options.deprecations ?? deprecations,
      spellings: options.spellings === true,
    },
    [],
  );
  const recipeOf = recipes(options.given ?? new Set(), tell);
  const ctx = fileContext(file, tell);
  const checked = [...file.recipes.values()]
    .map((decl) => recipeOf(file.homes.get(decl.name.name) ?? file, decl, decl.name, ctx))
    .filter((r): r is Recipe => r !== undefined);
  const evaluations = file.ast.items.flatMap((i) => (i.kind === 'evaluate' ? [checkEvaluate(ctx, i)] : []));
  diagnostics.sort((a, b) => order(root.path, a) - order(root.path, b) || (a.span?.start ?? 0) - (b.span?.start ?? 0));
  const bad = diagnostics.some((d) => d.severity === 'error');
  return { ...(bad ? {} : { program: { recipes: checked, evaluations, sources } }), diagnostics, sources, declared: file.recipes };
}
const order = (root: string, d: Diagnostic): number => (d.span?.file === root ? 0 : 1);

/** Statements that the parser could not read whole: what the checker would say of them is noise. */
function misread(ast: Ast.File, diagnostics: readonly Diagnostic[]): Span[] {
  const mistakes = diagnostics.filter((d) => d.code !== 'unknown-unit').map((d) => d.span?.start ?? 0);
  if (mistakes.length === 0) return [];
  const spans = ast.items.flatMap((i) => (i.kind === 'recipe' ? i.body : [i])).map((n) => n.span);
  return spans.filter((s) => mistakes.some((m) => s.start <= m && m <= s.end));
}

/** Checks each recipe once; one that applies itself is reported where the circle closes. */
function recipes(given: ReadonlySet<string>, tell: Context['report']): RecipeOf {
  const done = new Map<Ast.RecipeDecl, Recipe | 'open'>();
  const recipeOf: RecipeOf = (file, decl, at) => {
    const before = done.get(decl);
    if (before === 'open') {
      tell(diagnostic('apply-cycle', at.span, decl.name.name));
      return undefined;
    }
    if (before) return before;
    done.set(decl, 'open');
    const recipe = checkRecipe(file, decl, tell, given, recipeOf);
    done.set(decl, recipe);
    return recipe;
  };
  return recipeOf;
}

interface Loading {
  readonly resolve: Resolver;
  readonly sources: Map<string, string>;
  readonly loaded: Map<string, FileScope>;
  readonly tell: Context['report'];
  /** Spans of which nothing more is to be said. */
  readonly unread: Span[];
  readonly deprecations: readonly Deprecation[];
  readonly spellings: boolean;
}

/** Reads a file and, through the resolver, the files that it uses; each once. */
function load(source: SourceText, loading: Loading, stack: readonly string[]): FileScope {
  const { sources, loaded, tell, unread } = loading;
  const known = loaded.get(source.path);
  if (known) return known;
  sources.set(source.path, source.text);
  const { ast, diagnostics, doubtful } = parse(source.text, source.path);
  const asked = ast.language?.version;
  if (asked && asked.text !== '1') {
    tell(diagnostic('unknown-language', asked.span, asked.text));
    unread.push({ ...ast.span, end: ast.span.end + 1 });
  }
  for (const d of diagnostics) tell(d);
  unread.push(...misread(ast, diagnostics));
  const packages = new Map<string, FileScope | undefined>();
  const recipes = new Map<string, Ast.RecipeDecl>();
  const lets = new Map<string, Local>();
  const homes = new Map<string, FileScope>();
  const open: [Ast.Use, FileScope | undefined][] = [];
  const names = new Map<string, Ast.Name>();
  const declare = (n: Ast.Name): boolean => {
    const before = names.get(n.name);
    if (before) tell({ ...diagnostic('duplicate-name', n.span, n.name), related: [{ message: 'first here', span: before.span }] });
    else names.set(n.name, n);
    return before === undefined;
  };
  const within = [...stack, source.path];
  for (const u of ast.uses) {
    if (u.alias.name === '*') open.push([u, used(u, source, loading, within)]);
    else if (declare(u.alias)) packages.set(u.alias.name, used(u, source, loading, within));
  }
  const file: FileScope = {
    path: source.path,
    text: source.text,
    ast,
    doubtful,
    misread: diagnostics.some((d) => d.code !== 'unknown-unit'),
    recipes,
    homes,
    packages,
    lets,
    deprecations: [...loading.deprecations, ...(source.deprecations ?? [])],
    ...(source.package === undefined ? {} : { package: source.package }),
    spellings: loading.spellings,
  };
  const ctx = fileContext(file, tell);
  for (const i of ast.items) {
    if (i.kind === 'evaluate' || !declare(i.name)) continue;
    if (i.kind === 'recipe') recipes.set(i.name.name, i);
    else lets.set(i.name.name, { ...letLocal(i), in: ctx, verdicts: new Map(), memo: {} });
  }
  for (const [u, from] of open) {
    for (const [name, decl] of from?.recipes ?? [])
      if (recipes.get(name) !== decl && declare({ ...decl.name, span: u.alias.span })) {
        recipes.set(name, decl);
        homes.set(name, from!.homes.get(name) ?? from!);
      }
    for (const [name, local] of from?.lets ?? [])
      if (lets.get(name) !== local && declare({ ...local.name, span: u.alias.span })) lets.set(name, local);
  }
  loaded.set(source.path, file);
  return file;
}

function used(u: Ast.Use, from: SourceText, loading: Loading, stack: readonly string[]): FileScope | undefined {
  const { tell } = loading;
  const found = loading.resolve(u.source.value, from.path);
  if ('error' in found) {
    const said = diagnostic('use-failed', u.source.span, found.error, found.hint);
    if (found.code !== 'path-escape') tell({ ...said, code: found.code ?? 'use-failed' });
    else
      tell({
        ...diagnostic('path-escape', u.source.span, u.source.value),
        message: found.error,
        ...(found.hint ? { hint: found.hint } : {}),
      });
    return undefined;
  }
  if (stack.includes(found.path)) {
    tell(diagnostic('import-cycle', u.source.span, [...stack.slice(stack.indexOf(found.path)), found.path]));
    return undefined;
  }
  return load(found, loading, stack);
}
