/** `diff`: what another version of a recipe changes, and for whom; on a model, the sites whose numbers change. */
import type { RecipeDecl, Stmt } from '../grammar/ast.ts';
import { QcError } from '../grammar/diagnostics.ts';
import { printNode } from '../grammar/printer.ts';
import { type Api, type Change, compareApi } from './api.ts';
import { check, type Resolver } from './check/check.ts';
import { openModel, type Source } from './driver/model.ts';
import { planner } from './driver/planner.ts';
import type { Host } from './host.ts';
import type { Planned } from './plan/plan.ts';
import { sizesOf } from './plan/size.ts';

/** One of the two that are compared. */
export interface Side {
  /** As it is shown. */
  readonly label: string;
  readonly path: string;
  readonly text: string;
  readonly resolve: Resolver;
  readonly api: Api;
  /** Packages that it uses, with their versions. */
  readonly packages: Readonly<Record<string, string>>;
  /** Only this recipe. */
  readonly only?: string;
}
/** A statement that came, went, or says something else of the same selection. */
export interface StatementChange {
  readonly recipe: string;
  readonly of: string;
  readonly before?: string;
  readonly after?: string;
}
export interface PortChange {
  readonly site: string;
  readonly path: string;
  readonly port: string;
  readonly before: string;
  readonly after: string;
  /** Weights only. */
  readonly bytesBefore?: number;
  readonly bytesAfter?: number;
}
export interface ModelChange {
  readonly recipe: string;
  readonly sites: number;
  readonly ports: readonly PortChange[];
  /** Transforms by name: edges (or sites) that they work on. */
  readonly transforms: readonly { readonly name: string; readonly before: number; readonly after: number }[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Why one of the two cannot be planned on the model. */
  readonly failed?: string;
}
export interface Difference {
  readonly before: string;
  readonly after: string;
  readonly changes: readonly Change[];
  readonly statements: readonly StatementChange[];
  readonly models: readonly ModelChange[];
}

/** Compares two recipe files or packages; with `model`, also what they do to it. Errors: those of checking and of reading the model. */
export async function diff(a: Side, b: Side, on?: { readonly host: Host; readonly model: string }): Promise<Difference> {
  const [before, after] = [seen(a), seen(b)];
  // Two files of one recipe each are versions of it, whatever they call it.
  const [old, now] = [before.api.recipes[0]?.name ?? '', after.api.recipes[0]?.name ?? ''];
  const single = before.api.recipes.length === 1 && after.api.recipes.length === 1 && old !== now;
  const aligned: Api = single ? { ...after.api, recipes: after.api.recipes.map((r) => ({ ...r, name: old })) } : after.api;
  const pairs = before.api.recipes.flatMap((r) =>
    single ? [[old, now] as const] : after.api.recipes.some((x) => x.name === r.name) ? [[r.name, r.name] as const] : [],
  );
  const changes: Change[] = [
    ...(single ? [{ weight: 'breaks', text: `${old} is called ${now}` } as const] : []),
    ...compareApi(before.api, aligned),
    ...packageChanges(a.packages, b.packages),
  ];
  const statements = pairs.flatMap(([x, y]) => compareStatements(before.recipes.get(x), after.recipes.get(y)));
  const models = on ? await onModel(on.host, on.model, a, b, pairs) : [];
  return { before: a.label, after: b.label, changes, statements, models };
}

function seen(s: Side): { api: Api; recipes: ReadonlyMap<string, RecipeDecl> } {
  const { diagnostics, program, declared } = check({ path: s.path, text: s.text }, s.resolve);
  if (!program) throw new QcError(diagnostics);
  const fits = (r: { name: string }): boolean => s.only === undefined || r.name === s.only;
  return { api: { ...s.api, recipes: s.api.recipes.filter(fits) }, recipes: declared };
}

function packageChanges(a: Side['packages'], b: Side['packages']): Change[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names.flatMap((n): Change[] => {
    if (a[n] === b[n]) return [];
    if (a[n] === undefined) return [{ weight: 'output', text: `uses ${n} ${b[n]}` }];
    return [{ weight: 'output', text: b[n] === undefined ? `no longer uses ${n}` : `${n} was ${a[n]}, is ${b[n]}` }];
  });
}

/** What a statement speaks of; two of the same are versions of each other. */
function subject(s: Stmt): string {
  switch (s.kind) {
    case 'quantize':
      return `quantize ${s.ports.length ? `${s.ports.map((p) => p.name).join(', ')} of ` : ''}${printNode(s.of)}`;
    case 'transform':
    case 'solve':
      return `${s.kind} ${s.name.name} on ${printNode(s.on)}`;
    case 'prune':
    case 'keep':
      return `${s.kind} ${printNode(s.of)}`;
    case 'apply':
      return `apply ${printNode(s.what.kind === 'call' ? s.what.callee : s.what)}${s.to ? ` to ${printNode(s.to)}` : ''}`;
    case 'let':
    case 'schedule':
      return `${s.kind} ${s.name.name}`;
    case 'search':
      return `search ${s.names.map((n) => n.name).join(', ')}`;
    case 'require':
      return `require ${printNode(s.condition.kind === 'binary' ? s.condition.left : s.condition)}`;
    case 'evaluate':
      return `evaluate ${printNode(s.what)}`;
    default:
      return s.kind;
  }
}

function compareStatements(a: RecipeDecl | undefined, b: RecipeDecl | undefined): StatementChange[] {
  if (!a || !b) return [];
  const told = (r: RecipeDecl) => r.body.filter((s) => s.kind !== 'doc').map((s) => ({ of: subject(s), text: printNode(s) }));
  const [old, now] = [told(a), told(b)];
  // What stands in both says nothing new.
  const left = now.filter((s) => {
    const at = old.findIndex((o) => o.text === s.text);
    if (at >= 0) old.splice(at, 1);
    return at < 0;
  });
  const recipe = a.name.name;
  const out = old.map((o): StatementChange => {
    const at = left.findIndex((s) => s.of === o.of);
    const [match] = at < 0 ? [] : left.splice(at, 1);
    return { recipe, of: o.of, before: o.text, ...(match ? { after: match.text } : {}) };
  });
  return [...out, ...left.map((s) => ({ recipe, of: s.of, after: s.text }))];
}

async function onModel(host: Host, model: string, a: Side, b: Side, pairs: readonly (readonly [string, string])[]): Promise<ModelChange[]> {
  const source = await openModel(host, model);
  try {
    const [from, to] = [a, b].map((s) => check({ path: s.path, text: s.text }, s.resolve).program);
    const out: ModelChange[] = [];
    for (const [x, y] of pairs) {
      try {
        const plans = [from?.recipes.find((r) => r.name === x), to?.recipes.find((r) => r.name === y)].map(
          (r) => r && planner(r, source, {})({}),
        );
        if (plans[0] && plans[1]) out.push(comparePlans(x, plans[0], plans[1], source));
      } catch (error) {
        if (!(error instanceof QcError)) throw error;
        const failed = error.diagnostics[0]?.message ?? 'it cannot be planned';
        out.push({ recipe: x, sites: 0, ports: [], transforms: [], bytesBefore: source.bytes, bytesAfter: source.bytes, failed });
      }
    }
    return out;
  } finally {
    await source.close();
  }
}

function comparePlans(recipe: string, a: Planned, b: Planned, source: Source): ModelChange {
  const [before, after] = [a, b].map((p) => ({ types: typesOf(p), sizes: sizesOf(p, source.model, source.bytes), moves: transformsOf(p) }));
  if (!before || !after) throw new Error('two plans are compared');
  const ports: PortChange[] = [];
  for (const site of source.sites.sites)
    for (const port of Object.keys(site.ports)) {
      const key = `${site.id}\n${port}`;
      const [old, now] = [before.types.get(key) ?? 'float', after.types.get(key) ?? 'float'];
      if (old === now) continue;
      const weight = site.ports[port]?.kind === 'weight';
      const [x, y] = [before.sizes.weights.get(site.id), after.sizes.weights.get(site.id)];
      const size = weight && x && y ? { bytesBefore: x.after, bytesAfter: y.after } : {};
      ports.push({ site: site.id, path: site.path, port, before: old, after: now, ...size });
    }
  const names = [...new Set([...before.moves.keys(), ...after.moves.keys()])].sort();
  return {
    recipe,
    sites: source.sites.sites.length,
    ports,
    transforms: names
      .map((name) => ({ name, before: before.moves.get(name) ?? 0, after: after.moves.get(name) ?? 0 }))
      .filter((t) => t.before !== t.after),
    bytesBefore: Math.round(before.sizes.after),
    bytesAfter: Math.round(after.sizes.after),
  };
}
/** The type of every port, with the solver that finds its numbers. */
function typesOf(p: Planned): Map<string, string> {
  const solvers = new Map(p.solves.filter((s) => s.decides === 'codes').map((s) => [s.site.id, s.solver.name]));
  return new Map(
    p.slots.flatMap((s) => {
      const solver = s.port === 'weight' ? solvers.get(s.site.id) : undefined;
      return s.type ? [[`${s.site.id}\n${s.port}`, `${s.type.text}${solver ? `, ${solver}` : ''}`] as const] : [];
    }),
  );
}
function transformsOf(p: Planned): Map<string, number> {
  const out = new Map<string, number>();
  for (const t of p.transforms) out.set(t.kind, (out.get(t.kind) ?? 0) + (t.edges.length || t.sites.length));
  return out;
}
