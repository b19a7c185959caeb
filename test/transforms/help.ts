/** Applies a transform to a graph that was written by hand, and runs both models on the same numbers. */

import type { Arrays } from '../../compiler/calibrate/statistics.ts';
import { tapped } from '../../compiler/calibrate/tap.ts';
import { floats, valueFrom } from '../../compiler/calibrate/values.ts';
import type { Observer, Transform } from '../../compiler/define.ts';
import type { Applied, Need } from '../../compiler/fold/job.ts';
import { Refusal } from '../../compiler/fold/refuse.ts';
import { Rewriter, type Rewritten } from '../../compiler/fold/rewriter.ts';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { canonicalize } from '../../compiler/graph/canonical.ts';
import { cut } from '../../compiler/graph/cut.ts';
import { infer } from '../../compiler/graph/infer.ts';
import type { Model } from '../../compiler/graph/types.ts';
import type { Host, Value } from '../../compiler/host.ts';
import { findSites } from '../../compiler/match/find.ts';
import { createView } from '../../compiler/match/view.ts';
import { observers } from '../../compiler/observers/index.ts';
import type { QType } from '../../compiler/plan/types.ts';
import type { Ref, Schema } from '../../compiler/schema.ts';
import type { Site, Sites } from '../../compiler/sites.ts';
import { transforms } from '../../compiler/transforms/index.ts';
import { Builder } from '../roles/build.ts';

export interface Built {
  readonly model: Model;
  readonly sites: Sites;
}

/** Builds a graph with the named outputs; weights differ by channel, some a hundred times larger. */
export function built(make: (b: Builder) => readonly string[]): Built {
  const b = new Builder();
  for (const o of make(b)) b.output(o);
  const model = infer(canonicalize(b.model(17)));
  return { model, sites: findSites(model) };
}

/** Numbers for the float inputs, the same at each call; symbols are `symbol` long. */
export function feedsOf(model: Model, symbol = 3): Record<string, Value> {
  return Object.fromEntries(
    model.graph.inputs.map((i) => {
      const shape = i.shape!.map((d) => (typeof d === 'number' ? d : symbol));
      const n = shape.reduce((a, x) => a * x, 1);
      const ints = new BigInt64Array(Array.from({ length: n }, (_, k) => BigInt(k % 5)));
      if (i.dtype === 'int64') return [i.name, { dtype: 'int64', shape, bytes: new Uint8Array(ints.buffer) }];
      return [
        i.name,
        valueFrom(
          'float32',
          shape,
          Float32Array.from({ length: n }, (_, k) => Math.cos(1.7 * k) * (k % 7 === 0 ? 20 : 1)),
        ),
      ];
    }),
  );
}

const all = transforms as unknown as readonly Transform[];

export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** Runs one transform on edges (by path or membership) or sites (by id). */
export async function apply(
  host: Host,
  b: Built,
  kind: string,
  on: { readonly edges?: readonly Edge[]; readonly tied?: readonly Edge[]; readonly sites?: readonly string[] },
  args: Record<string, unknown>,
  types?: (site: Site, port: string) => QType | undefined,
): Promise<Rewritten & { readonly applied: readonly Applied[] }> {
  const def = all.find((t) => t.name === kind)!;
  const rewriter = new Rewriter(b.model, b.sites, kind);
  const site = (path: string): Site =>
    b.sites.sites.find((s) => (s.path === path && !['softmax', 'branch'].includes(s.role)) || s.members.includes(path))!;
  const applied: Applied[] = [];
  const reader = openTensors(host, '.');
  const given = Object.fromEntries(Object.entries(def.params).map(([k, p]) => [k, args[k] ?? p.default]));
  const edge = (tied: boolean) => (e: Edge) => ({ from: site(e.from), to: site(e.to), tied });
  await def.apply(
    {
      view: createView(b.model),
      sites: b.sites.sites,
      edges: [...(on.edges ?? []).map(edge(false)), ...(on.tied ?? []).map(edge(true))],
      picked: (on.sites ?? []).map((id) => b.sites.sites.find((s) => s.id === id)!),
      rewriter,
      ctx: reader,
      observe: (needs) => observe(host, b.model, needs),
      async run(values, feeds) {
        const session = await host.session(cut(b.model, new Map(), values), '.');
        try {
          return await session.run(Object.fromEntries(session.inputs.map((n) => [n, feeds[n]!])));
        } finally {
          await session.close();
        }
      },
      typeOf: (site, port) => types?.(site, port),
      restart: 0,
      applied: (a) => applied.push(a),
    },
    given as never,
  );
  return { ...rewriter.finish(), applied };
}

/** Statistics as calibration makes them. */
async function observe(host: Host, model: Model, needs: readonly Need[]) {
  const names = [...new Set(needs.map((n) => n.value))];
  const seen = await run(host, model, names);
  const folded = new Map<string, Arrays>();
  for (const { value, observer } of needs) {
    const def = (observers as unknown as readonly Observer<never>[]).find((o) => o.name === observer.name)!;
    const args = Object.fromEntries(Object.entries(def.params as Schema).map(([k, p]) => [k, observer.args[k] ?? p.default])) as never;
    const v = seen[value]!;
    const state = await def.fold(def.start(args), valueFrom('float32', v.shape, Float32Array.from(floats(v))), host.crunch, args);
    folded.set(`${value} ${observer.name}`, def.finish(state));
  }
  return {
    get(value: string, observer: Ref) {
      const found = folded.get(`${value} ${observer.name}`);
      if (!found) throw new Error(`${observer.name} of ${value} was not asked for`);
      return found;
    },
  };
}

export async function run(host: Host, model: Model, values: readonly string[], feeds = feedsOf(model)): Promise<Record<string, Value>> {
  const inputs = new Set(model.graph.inputs.map((i) => i.name));
  if (values.every((v) => inputs.has(v))) return feeds;
  const session = await host.session(
    tapped(
      model,
      values.filter((v) => !inputs.has(v)),
    ),
    '.',
  );
  try {
    return { ...feeds, ...(await session.run(Object.fromEntries(session.inputs.map((n) => [n, feeds[n]!])))) };
  } finally {
    await session.close();
  }
}

/** The largest ‖y′ − y‖ / ‖y‖ over the outputs of the model. */
export async function distance(host: Host, before: Model, after: Model): Promise<number> {
  const names = before.graph.outputs.map((o) => o.name);
  const feeds = feedsOf(before);
  const [a, b] = [await run(host, before, names, feeds), await run(host, after, names, feeds)];
  return Math.max(
    ...names.map((n) => {
      const [x, y] = [floats(a[n]!), floats(b[n]!)];
      const sum = (f: (i: number) => number) => Math.sqrt(x.reduce((s, _, i) => s + f(i) ** 2, 0));
      return sum((i) => y[i]! - x[i]!) / sum((i) => x[i]!);
    }),
  );
}

/** Why a transform was refused. */
export async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (e) {
    if (e instanceof Refusal) return `${e.reason}: ${e.message}`;
    throw e;
  }
  return 'not refused';
}

/** A static symmetric integer type by channel. */
export const int = (bits: number, rest: Partial<QType> = {}): QType => ({
  format: { name: 'int', args: { bits } },
  codes: { kind: 'int', bits, signed: true, lo: -(2 ** (bits - 1)), hi: 2 ** (bits - 1) - 1 },
  bits,
  symmetric: true,
  grain: { per: 'channel' },
  mode: 'static',
  law: { name: 'minmax', args: {} },
  scaleType: 'model',
  text: `int${bits}`,
  ...rest,
});
