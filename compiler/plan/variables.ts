/** The variables of a recipe on a model, and the searches over them in order: a search that another one mentions runs inside it. */
import type { Binding, Expr, Statement } from '../recipe.ts';
import type { Ref } from '../schema.ts';
import { deciderOf, type Params, type Scoped } from './apply.ts';
import { evaluate, failAt, keyOf, type Scope, type Val, wordOf } from './bind.ts';
import { type Ground, select } from './select.ts';
import type { Decider } from './types.ts';
import { wordRef } from './words.ts';

type Word = number | string | boolean;

/** One variable to bind: `bits@linear:layers.0…` (one of an `each`) or `alpha`. */
export interface Variable {
  readonly key: string;
  readonly name: string;
  readonly prefix: string;
  /** The tied group, for an `each`. */
  readonly unit?: string;
  readonly domain: readonly Word[];
}

/** One `search` statement with the variables that it binds. `inner`: searches that run within each trial of this one. */
export interface Search {
  readonly variables: readonly Variable[];
  readonly objective: Expr;
  readonly budget?: Expr;
  readonly method: Ref;
  readonly scope: Scope;
  readonly by: Decider;
  readonly inner: readonly Search[];
}

export interface Variables {
  readonly all: readonly Variable[];
  /** The outermost searches. */
  readonly searches: readonly Search[];
  /** A first value for every variable that a search will bind. */
  readonly start: Binding;
}

/** Finds variables and searches. Errors: `unbound-variable`, `search-cycle`, `two-searches`. `replay` binds ahead of any search. */
export function variablesOf(statements: readonly Scoped[], ground: Ground, params: Params, replay: Binding = {}): Variables {
  const pinned = (v: Variable) => replay[v.key] !== undefined || (v.prefix === '' && params[v.name] !== undefined);
  const declared = statements.flatMap((s) => declare(s, ground));
  const searches = statements.filter((s): s is Scoped<Extract<Statement, { verb: 'search' }>> => s.statement.verb === 'search');
  const taken = new Map<string, Decider>();
  const flat = searches.map((s) => {
    const variables = s.statement.variables.flatMap((name) => {
      const of = [...declared.filter((v) => v.name === name && v.prefix === s.scope.prefix), ...paramVariables(name, s)];
      for (const v of of) {
        const other = taken.get(v.key);
        if (other)
          failAt('two-searches', `\`${name}\` is bound by two searches.`, s.statement.span, undefined, {
            related: [{ message: 'the other', span: other.span }],
          });
        taken.set(v.key, deciderOf(s));
      }
      return of;
    });
    return { s, variables: variables.filter((v) => !pinned(v)), names: s.statement.variables };
  });
  for (const s of statements) if (s.statement.verb === 'let') bound(s, declared, taken, pinned);
  const all = flat.flatMap((f) => f.variables);
  return {
    all,
    searches: nest(flat.filter((f) => f.variables.length > 0)),
    start: { ...Object.fromEntries(all.map((v) => [v.key, v.domain[0]!])), ...replay },
  };
}

function declare(s: Scoped, ground: Ground): Variable[] {
  if (s.statement.verb !== 'let') return [];
  const { name, each, span } = s.statement;
  const { prefix, domains } = s.scope;
  const domain = (domains.get(name) ?? []).map(wordOf);
  if (domain.length === 0) failAt('empty-domain', `\`${name}\` has no value to take.`, span);
  if (!each) return [{ key: keyOf(prefix, name), name, prefix, domain }];
  const over = evaluate(each, s.scope);
  if (over.kind !== 'selection') return failAt('not-a-selection', '`each` is followed by a selection.', each.span);
  const { sites } = select(over.selection, ground, s.within);
  const units = [...new Set(sites.map((x) => x.tied))];
  return units.map((unit) => ({ key: keyOf(prefix, name, unit), name, prefix, unit, domain }));
}

function paramVariables(name: string, s: Scoped): Variable[] {
  const param = s.scope.recipe.params.find((p) => p.name === name);
  const domain = s.scope.domains.get(name);
  if (!param) return [];
  if (!domain) return failAt('no-domain', `\`${name}\` has no domain to search.`, param.span, `Write \`${name} = … in 0..1 by 0.05\`.`);
  // The default comes first: it is where the search starts.
  const first = wordOf(s.scope.params.get(name) as Val);
  const words = domain.map(wordOf);
  return [{ key: keyOf(s.scope.prefix, name), name, prefix: s.scope.prefix, domain: [first, ...words.filter((w) => w !== first)] }];
}

function bound(s: Scoped, declared: readonly Variable[], taken: ReadonlyMap<string, Decider>, pinned: (v: Variable) => boolean): void {
  if (s.statement.verb !== 'let') return;
  const { name, span } = s.statement;
  const loose = declared.find((v) => v.name === name && v.prefix === s.scope.prefix && !taken.has(v.key) && !pinned(v));
  if (loose)
    failAt(
      'unbound-variable',
      `Nothing binds \`${name}\`.`,
      span,
      `Add \`search ${name} { objective: …, method: … }\`, or give --param ${name}=VALUE.`,
    );
}

type Flat = { s: Scoped<Extract<Statement, { verb: 'search' }>>; variables: readonly Variable[]; names: readonly string[] };

/** An objective or budget that mentions another search's variable runs inside that one. */
function nest(flat: readonly Flat[]): Search[] {
  const outer = flat.map((f) =>
    flat.filter(
      (g) =>
        g !== f &&
        g.s.scope.prefix === f.s.scope.prefix &&
        g.names.some((n) => Object.values(f.s.statement.fields).some((e) => mentions(e, n, f.s.scope))),
    ),
  );
  const depth = (i: number, seen: readonly number[]): number => {
    if (seen.includes(i))
      failAt(
        'search-cycle',
        `The searches of ${seen.map((k) => flat[k]!.names.join(', ')).join(' and ')} wait for each other.`,
        flat[i]!.s.statement.span,
      );
    return Math.max(0, ...outer[i]!.map((g) => 1 + depth(flat.indexOf(g), [...seen, i])));
  };
  const depths = flat.map((_, i) => depth(i, []));
  // The immediate outer search is the deepest one that is mentioned.
  const parent = outer.map((list) => [...list].sort((a, b) => depths[flat.indexOf(b)]! - depths[flat.indexOf(a)]!)[0]);
  const build = (i: number): Search => {
    const { s, variables } = flat[i]!;
    const { objective, budget, method } = s.statement.fields;
    if (!objective)
      return failAt('missing-field', 'A search needs an objective.', s.statement.span, 'For example `objective: mse(output("logits"))`.');
    return {
      variables,
      objective,
      ...(budget ? { budget } : {}),
      method: method ? wordRef(evaluate(method, s.scope), method) : { name: 'grid', args: {} },
      scope: s.scope,
      by: deciderOf(s),
      inner: flat.flatMap((_, k) => (parent[k] === flat[i] ? [build(k)] : [])),
    };
  };
  return flat.flatMap((_, i) => (parent[i] === undefined ? [build(i)] : []));
}

/** Does the expression speak of a variable, also through a `let x = …`? */
export function mentions(e: Expr, name: string, scope: Scope): boolean {
  const of = (x: Expr | undefined): boolean => x !== undefined && mentions(x, name, scope);
  switch (e.kind) {
    case 'var':
      return e.name === name || of(scope.recipe.lets.get(e.name));
    case 'call':
      return Object.values(e.args).some(of);
    case 'list':
      return e.items.some(of);
    case 'record':
      return Object.values(e.fields).some(of);
    case 'op':
      return of(e.left) || of(e.right);
    case 'not':
    case 'neg':
    case 'member':
      return of(e.of);
    case 'range':
      return of(e.from) || of(e.to) || of(e.by);
    default:
      return false;
  }
}
