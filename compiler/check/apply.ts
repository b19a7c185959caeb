/** `apply`: which recipe, with which arguments. */
import type * as Ast from '../../grammar/ast.ts';
import { find } from '../catalog/index.ts';
import type { Fields, Recipe } from '../recipe.ts';
import { bool, choice, expression, num, type Param, ref, type Schema, str } from '../schema.ts';
import { argsOf } from './arguments.ts';
import { type Context, type FileScope, lookup, nearest, nounOf, report, suggest } from './context.ts';
import { recipeName } from './expression.ts';
import { truthOf } from './param.ts';
import { deprecationOf, tellDeprecated } from './renamed.ts';
import type { RecipeOf } from './statement.ts';

/** Resolves the recipe and checks the arguments against its parameters. */
export function checkApply(ctx: Context, e: Ast.Expr, recipeOf: RecipeOf): { recipe: Recipe; args: Fields } | undefined {
  const found = target(ctx, e.kind === 'call' ? e.callee : e);
  if (!found) return undefined;
  const { file, decl } = found;
  const params: Schema = Object.fromEntries(decl.params.map((p) => [p.name.name, { ...paramOf(p), ...oldNames(file, decl, p) }]));
  const callee = { params, positional: Object.keys(params) };
  const args = argsOf(ctx, e.kind === 'call' ? e.args : [], callee, `\`${decl.name.name}\``, e.span);
  const recipe = recipeOf(file, decl, e, ctx);
  return recipe && { recipe, args };
}

function target(ctx: Context, e: Ast.Expr): { file: FileScope; decl: Ast.RecipeDecl } | undefined {
  if (e.kind === 'name') {
    const decl = ctx.file.recipes.get(e.name);
    if (decl) return { file: ctx.file.homes.get(e.name) ?? ctx.file, decl };
    if (ctx.file.doubtful.has(e.name)) return undefined;
    if (ctx.file.packages.has(e.name)) report(ctx, 'not-a-recipe', e.span, `\`${e.name}\``);
    else {
      const near = nearest(e.name, ctx.file.recipes.keys());
      suggest(ctx, 'unknown-recipe', e.span, near, e.name, 'This file', near, [...ctx.file.recipes.keys()]);
    }
    return undefined;
  }
  if (e.kind === 'member' && e.of.kind === 'name' && !lookup(ctx, e.of.name)) {
    const file = ctx.file.packages.get(e.of.name);
    const old = file && !file.recipes.has(e.name.name) ? deprecationOf(file.deprecations, 'recipe', e.name.name) : undefined;
    const decl = file?.recipes.get(old?.to ?? e.name.name);
    if (file && decl) {
      if (old) tellDeprecated(ctx, old, e.name.span);
      return { file: file.homes.get(decl.name.name) ?? file, decl };
    }
    if (recipeName(ctx, e) === undefined && !ctx.file.doubtful.has(e.of.name)) report(ctx, 'unknown-package', e.of.span, e.of.name);
    return undefined;
  }
  if (e.kind !== 'broken') report(ctx, 'not-a-recipe', e.span, nounOf(e));
  return undefined;
}

/** Old names of a parameter, as the package says: `recipe.old` → `new`. */
function oldNames(file: FileScope, decl: Ast.RecipeDecl, p: Ast.ParamDecl): Pick<Param<unknown>, 'aliases' | 'renamed'> {
  const start = `${decl.name.name}.`;
  const old = file.deprecations.filter((d) => d.kind === 'parameter' && d.to === p.name.name && d.name.startsWith(start));
  if (old.length === 0) return {};
  const renamed = old.map(
    (d) => [d.name.slice(start.length), { since: d.since, ...(d.note === undefined ? {} : { note: d.note }) }] as const,
  );
  return { aliases: renamed.map(([name]) => name), renamed: Object.fromEntries(renamed) };
}

/** What a recipe's parameter takes, by its default. */
function paramOf(p: Ast.ParamDecl): Param<unknown> {
  const common = { doc: '', optional: true };
  const e = p.value;
  if (e.kind === 'string') return str(common);
  if (e.kind === 'number') return num({ ...common, ...(e.unit ? { units: [e.unit as 'x'] } : {}) });
  if (e.kind === 'unary' && e.op === '-') return num(common);
  const word = e.kind === 'name' ? e.name : e.kind === 'call' && e.callee.kind === 'name' ? e.callee.name : undefined;
  if (word !== undefined && truthOf(word) !== undefined) return bool(common);
  const kind = word === undefined ? undefined : (['format', 'law', 'scheme', 'matrix', 'search'] as const).find((k) => find(k, word));
  if (kind) return ref(kind, common);
  const words = p.domain?.kind === 'list' ? p.domain.items.flatMap((x) => (x.kind === 'name' ? [x.name] : [])) : [];
  return words.length ? choice(words, common) : expression(common);
}
