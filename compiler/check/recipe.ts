/** One recipe: its names first, then its statements, then what only the whole shows. */
import semver from 'semver';
import { type Expr as AstExpr, children, type Let, type Node, type RecipeDecl } from '../../grammar/ast.ts';
import { printNode } from '../../grammar/printer.ts';
import type { Expr, Recipe, RecipeParam, Statement } from '../recipe.ts';
import { type Context, diagnostic, type FileScope, type Local, lookup, report } from './context.ts';
import { checkDomain, defaultFits } from './domain.ts';
import { checkExpression, word } from './expression.ts';
import { checkParam } from './param.ts';
import { checkSearches, circle } from './searches.ts';
import { checkSelection, isSelection } from './selection.ts';
import { checkStatement, type RecipeOf } from './statement.ts';

export const readers: Context['read'] = { selection: checkSelection, param: checkParam, expression: checkExpression };

/** A context of a file, before any recipe's own names. */
export const fileContext = (file: FileScope, tell: Context['report']): Context => ({
  read: readers,
  file,
  locals: new Map(),
  report: tell,
  text: (s) => written(file.text.slice(s.span.start, s.span.end)) ?? printNode(s),
  open: [],
});

/** What the user wrote, where it is one plain line already. */
const written = (slice: string): string | undefined => (/[\n#]| {2}/.test(slice) ? undefined : slice);

/** Checks a recipe. `given`: names that the caller binds (--param). */
export function checkRecipe(
  file: FileScope,
  decl: RecipeDecl,
  tell: Context['report'],
  given: ReadonlySet<string>,
  recipeOf: RecipeOf,
): Recipe {
  const locals = new Map<string, Local>();
  const ctx: Context = { ...fileContext(file, tell), locals };
  declare(ctx, locals, decl);
  if (semver.valid(decl.version.value) === null) report(ctx, 'bad-version', decl.version.span, decl.version.value);
  letCycles(ctx, locals);

  const params = decl.params.map((p): RecipeParam => {
    const before = { ...ctx, locals: new Map([...locals].filter(([, l]) => l.kind === 'param' && l.name.span.start < p.name.span.start)) };
    const domain = p.domain ? { domain: checkDomain(before, p.domain) } : {};
    if (p.domain && !defaultFits(before, p.value, p.domain)) report(ctx, 'default-outside', p.value.span, p.name.name);
    return { name: p.name.name, default: word(before, p.value), ...domain, span: p.span };
  });
  const lets = new Map<string, Expr>();
  for (const l of [...file.lets.values(), ...locals.values()])
    if (l.kind === 'let' && l.value) lets.set(l.name.name, letValue(locals.has(l.name.name) ? ctx : l.in, l.value));
  const outside = [...file.lets.values()].filter((l) => l.kind === 'variable' && searches(decl, l.name.name) && !locals.has(l.name.name));
  const body = [...outside.flatMap((l) => file.ast.items.filter((i): i is Let => i.kind === 'let' && i.name === l.name)), ...decl.body];
  const statements = body.map((s) => checkStatement(ctx, s, recipeOf)).filter((s): s is Statement => s !== undefined);
  if (!file.misread) checkSearches(ctx, decl, given);
  if (!file.misread && !decl.body.some((s) => !['doc', 'let', 'calibrate', 'schedule', 'require'].includes(s.kind)))
    ctx.report({ ...diagnostic('empty-recipe', decl.name.span, decl.name.name), severity: 'warning' });
  return {
    name: decl.name.name,
    ...(decl.title ? { title: decl.title.value } : {}),
    version: decl.version.value,
    params,
    lets,
    statements,
    file: file.path,
    span: decl.span,
  };
}

const searches = (decl: RecipeDecl, name: string): boolean =>
  decl.body.some((s) => s.kind === 'search' && s.names.some((n) => n.name === name));

/** A `let` is a selection where it speaks of sites, else a value. */
function letValue(ctx: Context, e: AstExpr): Expr {
  return isSelection(ctx, e) ? { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span } : word(ctx, e);
}

/** Puts the recipe's names in place; order of statements does not matter. */
function declare(ctx: Context, locals: Map<string, Local>, decl: RecipeDecl): void {
  const put = (l: Omit<Local, 'in' | 'verdicts' | 'memo'>): void => {
    const before = locals.get(l.name.name);
    if (before)
      ctx.report({
        ...diagnostic('duplicate-name', l.name.span, l.name.name),
        related: [{ message: 'first here', span: before.name.span }],
      });
    else locals.set(l.name.name, { ...l, in: ctx, verdicts: new Map(), memo: {} });
  };
  for (const p of decl.params) put({ kind: 'param', name: p.name, value: p.value, ...(p.domain ? { domain: p.domain } : {}) });
  for (const s of decl.body) {
    if (s.kind === 'let') put(letLocal(s));
    if (s.kind === 'schedule') put({ kind: 'schedule', name: s.name });
  }
}
export const letLocal = (s: Let): Omit<Local, 'in' | 'verdicts' | 'memo'> => ({
  kind: s.domain ? 'variable' : 'let',
  name: s.name,
  ...(s.value ? { value: s.value } : {}),
  ...(s.domain ? { domain: s.domain } : {}),
});

function letCycles(ctx: Context, locals: ReadonlyMap<string, Local>): void {
  const lets = [...locals.values()].filter((l) => l.kind === 'let' && l.value);
  const next = (l: Local): Local[] => {
    const names: string[] = [];
    const walk = (n: Node): void => {
      if (n.kind === 'name') names.push(n.name);
      for (const c of n.kind === 'field' || n.kind === 'arg' ? [n.value] : n.kind === 'member' ? [n.of] : children(n)) walk(c);
    };
    if (l.value) walk(l.value);
    return names.map((n) => lookup(ctx, n)).filter((x): x is Local => x?.kind === 'let');
  };
  circle(lets, next, (path) => {
    const first = path[0];
    if (first)
      report(
        ctx,
        'let-cycle',
        first.name.span,
        [...path, first].map((l) => l.name.name),
      );
  });
}
