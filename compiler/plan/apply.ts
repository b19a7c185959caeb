/** Inlines applied recipes: one list of statements, earlier first, each with the scope and the selections that narrow it. */
import type { Binding, Recipe, Selection, Statement } from '../recipe.ts';
import { domainOf, equal, evaluate, failAt, print, type Scope, toVal, type Val } from './bind.ts';
import type { Decider } from './types.ts';

/** A statement in its scope. `within`: the `to` of every `apply` that it came through. */
export interface Scoped<S extends Statement = Statement> {
  readonly statement: S;
  readonly scope: Scope;
  readonly within: readonly Selection[];
  /** 0 in the recipe itself. */
  readonly depth: number;
}

export type Params = Readonly<Record<string, number | string | boolean>>;

/** What comes along with `apply` (rule 8): the rest is the caller's business, `require` stays about the whole model. */
const inlined = new Set(['let', 'transform', 'quantize', 'prune', 'solve', 'search', 'keep', 'require', 'calibrate', 'schedule']);

/**
 * Flattens a recipe. An applied recipe's statements come before all of its caller's, so that the caller wins.
 * Errors: `unknown-param`, `param-domain`.
 */
export function flatten(recipe: Recipe, params: Params, binding: Binding): Scoped[] {
  return inline(recipe, '', rootParams(recipe, params, binding), binding, [], 0, new Map());
}

function inline(
  recipe: Recipe,
  prefix: string,
  params: ReadonlyMap<string, Val>,
  binding: Binding,
  within: readonly Selection[],
  depth: number,
  uses: Map<string, number>,
): Scoped[] {
  const scope = scopeOf(recipe, prefix, params, binding);
  const own = recipe.statements.flatMap((statement) => (statement.verb === 'apply' ? [] : [{ statement, scope, within, depth }]));
  const applied = recipe.statements.flatMap((s) => {
    if (s.verb !== 'apply') return [];
    const nth = (uses.get(s.recipe.name) ?? 0) + 1;
    uses.set(s.recipe.name, nth);
    const inner = inline(
      s.recipe,
      `${prefix}${s.recipe.name}${nth > 1 ? `#${nth}` : ''}/`,
      argsOf(s.recipe, s.args, scope),
      binding,
      s.to ? [...within, s.to] : within,
      depth + 1,
      new Map(),
    );
    return inner.filter((x) => inlined.has(x.statement.verb));
  });
  const has = (verb: string) => own.some((x) => x.statement.verb === verb);
  const kept = applied.filter(({ statement: { verb } }) => !((verb === 'calibrate' || verb === 'schedule') && has(verb)));
  return [...kept, ...own];
}

function scopeOf(recipe: Recipe, prefix: string, params: ReadonlyMap<string, Val>, binding: Binding): Scope {
  const bare: Scope = { recipe, prefix, params, binding, domains: new Map() };
  const domains = new Map<string, readonly Val[]>();
  for (const s of recipe.statements) if (s.verb === 'let') domains.set(s.name, domainOf(s.domain, bare));
  for (const p of recipe.params) if (p.domain) domains.set(p.name, domainOf(p.domain, bare));
  return { ...bare, domains };
}

/** Defaults see the parameters before them. */
function defaults(recipe: Recipe, given: ReadonlyMap<string, Val>, binding: Binding): Map<string, Val> {
  const out = new Map<string, Val>();
  for (const p of recipe.params) {
    const scope: Scope = { recipe, prefix: '', params: out, binding, domains: new Map() };
    const value = given.get(p.name) ?? evaluate(p.default, scope);
    if (given.has(p.name) && p.domain && !domainOf(p.domain, scope).some((v) => equal(v, value)))
      failAt('param-domain', `${p.name} = ${print(value)} is outside of its domain.`, p.domain.span);
    out.set(p.name, value);
  }
  return out;
}

function argsOf(recipe: Recipe, args: Readonly<Record<string, Parameters<typeof evaluate>[0]>>, caller: Scope): Map<string, Val> {
  const given = new Map(Object.entries(args).map(([k, e]) => [k, evaluate(e, caller)]));
  return defaults(recipe, given, caller.binding);
}

function rootParams(recipe: Recipe, params: Params, binding: Binding): Map<string, Val> {
  const names = new Set([...recipe.params.map((p) => p.name), ...recipe.statements.flatMap((s) => (s.verb === 'let' ? [s.name] : []))]);
  for (const k of Object.keys(params))
    if (!names.has(k))
      failAt(
        'unknown-param',
        `Recipe ${recipe.name} has no parameter \`${k}\`.`,
        recipe.span,
        names.size ? `It has ${[...names].join(', ')}.` : 'It has none.',
      );
  const given = new Map<string, Val>();
  for (const p of recipe.params) {
    const v = params[p.name];
    if (v === undefined) continue;
    const like = p.default.kind === 'call' ? p.default : undefined;
    given.set(p.name, like && typeof v === 'string' ? { kind: 'ref', of: like.of, name: v, args: {} } : toVal(v));
  }
  const out = defaults(recipe, given, binding);
  // A variable that is given on the command line is no longer searched.
  for (const s of recipe.statements) if (s.verb === 'let' && params[s.name] !== undefined) out.set(s.name, toVal(params[s.name]!));
  return out;
}

/** Who decides, for explanations. */
export const deciderOf = (x: Scoped): Decider => ({
  statement: x.statement,
  recipe: x.scope.recipe.name,
  span: x.statement.span,
  text: x.statement.text,
});
