/** Search is a driver around the pipeline: it binds variables, scores the plans that they give, and hands the best binding to the one final run. */
import type { SearchMethod, Trial } from '../define.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { withDefaults } from '../plan/resolve.ts';
import type { Search } from '../plan/variables.ts';
import type { Binding } from '../recipe.ts';
import { searches } from '../searches/index.ts';
import { type Bench, score } from './score.ts';

export interface SearchContext {
  readonly bench: Bench;
  /** Plans the recipe under a binding. */
  readonly plan: (binding: Binding) => Planned;
  readonly onTrial?: (trials: number) => void;
  readonly signal?: AbortSignal;
}

/** Runs all searches, inner ones within each trial of the outer, and gives the whole binding. */
export async function searchAll(nested: readonly Search[], start: Binding, ctx: SearchContext): Promise<Binding> {
  let trials = 0;
  const count: SearchContext = { ...ctx, onTrial: () => ctx.onTrial?.(++trials) };
  let binding = start;
  for (const s of nested) binding = await one(s, binding, count);
  return binding;
}

async function one(search: Search, outer: Binding, ctx: SearchContext): Promise<Binding> {
  const method = searches.find((m) => m.name === search.method.name) as SearchMethod | undefined;
  if (!method) return failAt('unknown-search', `\`${search.method.name}\` is not a search method.`, search.by.span);
  const seen = new Map<string, { trial: Trial; binding: Binding }>();
  const trial = async (a: Binding): Promise<{ trial: Trial; binding: Binding }> => {
    ctx.signal?.throwIfAborted();
    const key = JSON.stringify(search.variables.map((v) => a[v.key]));
    const known = seen.get(key);
    if (known) return known;
    let binding: Binding = { ...outer, ...a };
    for (const inner of search.inner) binding = await one(inner, binding, ctx);
    const done = { trial: await score(ctx.plan(binding), search.objective, search.budget, search.scope, ctx.bench), binding };
    ctx.onTrial?.(0);
    seen.set(key, done);
    return done;
  };
  const space = search.variables.map((v) => ({ name: v.key, domain: v.domain }));
  const best = await method.run(space, async (a) => (await trial(a)).trial, withDefaults(method.params, search.method.args) as never);
  return (await trial(best)).binding;
}
