/** Variables and the searches that bind them. */
import { children, type Node, type RecipeDecl, type Stmt } from '../../grammar/ast.ts';
import { type Context, type Local, lookup, nearest, report, suggest } from './context.ts';

type Search = Extract<Stmt, { kind: 'search' }>;

/** Checks that every variable is bound once and that searches do not wait for each other. `given`: bound from outside (--param). */
export function checkSearches(ctx: Context, recipe: RecipeDecl, given: ReadonlySet<string>): void {
  const searches = recipe.body.filter((s): s is Search => s.kind === 'search');
  const taken = new Map<string, Search>();
  for (const s of searches)
    for (const n of s.names) {
      const local = lookup(ctx, n.name);
      if (!local) {
        if (ctx.file.doubtful.has(n.name)) continue;
        const known = [...ctx.locals.values()].filter(searchable).map((l) => l.name.name);
        const near = nearest(n.name, known);
        suggest(ctx, 'unknown-name', n.span, near, 'variable of this recipe', n.name, near, known);
      } else if (local.kind === 'param' && !local.domain) report(ctx, 'no-domain', n.span, n.name);
      else if (!searchable(local)) report(ctx, 'not-a-variable', n.span, n.name);
      const other = taken.get(n.name);
      if (other)
        report(
          { ...ctx, report: (d) => ctx.report({ ...d, related: [{ message: 'the other search', span: other.span }] }) },
          'two-searches',
          n.span,
          n.name,
        );
      taken.set(n.name, s);
    }
  for (const l of ctx.locals.values())
    if (l.kind === 'variable' && !taken.has(l.name.name) && !given.has(l.name.name))
      report(ctx, 'unbound-variable', l.name.span, l.name.name);
  cycles(ctx, searches);
}

const searchable = (l: Local): boolean => l.kind === 'variable' || (l.kind === 'param' && l.domain !== undefined);

/** A search that mentions a variable of another one runs inside that one; a circle cannot. */
function cycles(ctx: Context, searches: readonly Search[]): void {
  const binder = new Map(searches.flatMap((s) => s.names.map((n) => [n.name, s] as const)));
  const outer = new Map(
    searches.map((s) => {
      const others = [...mentioned(ctx, s.fields)].map((w) => binder.get(w)).filter((o): o is Search => o !== undefined && o !== s);
      return [s, [...new Set(others)]] as const;
    }),
  );
  circle(
    searches,
    (s) => outer.get(s) ?? [],
    (path) => {
      const first = path[0];
      if (first)
        report(
          ctx,
          'search-cycle',
          first.span,
          [...path, first].map((s) => s.names.map((n) => n.name).join(', ')),
        );
    },
  );
}

/** Local names that an expression speaks of, also through `let x = …`. */
export function mentioned(ctx: Context, n: Node, seen = new Set<string>()): ReadonlySet<string> {
  if (n.kind === 'name') {
    const local = lookup(ctx, n.name);
    if (local && !seen.has(n.name)) {
      seen.add(n.name);
      if (local.kind === 'let' && local.value) mentioned(ctx, local.value, seen);
    }
  }
  const below = n.kind === 'field' || n.kind === 'arg' ? [n.value] : n.kind === 'member' ? [n.of] : children(n);
  for (const c of below) mentioned(ctx, c, seen);
  return seen;
}

/** Finds circles of a relation; each is told once. */
export function circle<X>(all: readonly X[], next: (x: X) => readonly X[], tell: (path: readonly X[]) => void): void {
  const done = new Set<X>();
  const walk = (x: X, path: readonly X[]): void => {
    if (path.includes(x)) {
      tell(path.slice(path.indexOf(x)));
      return;
    }
    if (done.has(x)) return;
    for (const y of next(x)) walk(y, [...path, x]);
    done.add(x);
  };
  for (const x of all) walk(x, []);
}
