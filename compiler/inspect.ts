/** What is in a model: its sites by role, its tied groups, what was missed, how much of its weight the roles cover. */
import { canonicalize } from './graph/canonical.ts';
import { bitsOf, elements, isFloat } from './graph/dtype.ts';
import { infer } from './graph/infer.ts';
import type { DType, Model, Node } from './graph/types.ts';
import { findSites } from './match/find.ts';
import { allViews, typeOf, type View } from './match/view.ts';
import type { Miss, Site, Sites } from './sites.ts';

/** A site as `qc inspect --json` gives it. */
export interface InspectedSite {
  readonly id: string;
  readonly path: string;
  readonly role: string;
  readonly members: readonly string[];
  readonly form: string;
  readonly graph: string;
  readonly block?: number;
  /** The weight's initializer, shape, type and size in bytes. */
  readonly weight?: { readonly name: string; readonly shape: readonly number[]; readonly dtype: DType; readonly bytes: number };
  readonly bias?: string;
  readonly ports: Readonly<Record<string, string>>;
  readonly facts: Site['facts'];
  readonly tied: string;
  readonly size: number;
}

export interface InspectReport {
  readonly model: {
    readonly producer: string;
    readonly ir: number;
    readonly opsets: Readonly<Record<string, number>>;
    readonly nodes: number;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
    /** Numbers in floating-point initializers, each initializer once. */
    readonly parameters: number;
    readonly bytes: number;
  };
  readonly sites: readonly InspectedSite[];
  readonly edges: Sites['edges'];
  readonly streams: Sites['streams'];
  readonly blocks: Sites['blocks'];
  readonly tied: readonly { readonly name: string; readonly sites: readonly string[] }[];
  readonly misses: readonly Miss[];
  readonly totals: {
    readonly roles: readonly { readonly role: string; readonly sites: number; readonly parameters: number; readonly share: number }[];
    /** Constant operands of MatMul, Gemm and Conv: numbers, and how many of them are weights of sites. */
    readonly weights: { readonly parameters: number; readonly covered: number; readonly share: number };
  };
  /** Operators by number; `outside`: those in no site. */
  readonly ops: readonly { readonly op: string; readonly count: number; readonly outside: number }[];
}

const PRODUCTS = new Set(['MatMul', 'Gemm', 'Conv', 'ConvTranspose', 'com.microsoft::FusedMatMul']);

/** Constant matrices and kernels of products, by initializer; those that a site has as its weight are covered. */
function coverage(views: readonly View[], sites: readonly Site[]): InspectReport['totals']['weights'] {
  const held = new Set(sites.map((s) => s.ports['weight']?.value));
  const seen = new Map<string, number>();
  for (const v of views) {
    for (const n of v.nodes(...PRODUCTS)) {
      for (const c of n.inputs.slice(0, 2).map((i) => v.constant(i))) {
        if (c && isFloat(c.tensor.dtype) && c.tensor.shape.length > 1) seen.set(c.name, elements(c.tensor.shape));
      }
    }
  }
  const parameters = [...seen.values()].reduce((a, b) => a + b, 0);
  const covered = [...seen].filter(([name]) => held.has(name)).reduce((a, [, n]) => a + n, 0);
  return { parameters, covered, share: parameters === 0 ? 1 : covered / parameters };
}

function inspected(s: Site, dtype: DType | undefined): InspectedSite {
  const w = s.ports['weight'];
  const shape = w?.shape as readonly number[] | undefined;
  const { id, path, role, members, form, graph, block, bias, facts, tied, size } = s;
  return {
    id,
    path,
    role,
    members,
    form,
    graph,
    ...(block === undefined ? {} : { block }),
    ...(w && shape && dtype ? { weight: { name: w.value, shape, dtype, bytes: (elements(shape) * bitsOf(dtype)) / 8 } } : {}),
    ...(bias === undefined ? {} : { bias }),
    ports: Object.fromEntries(Object.values(s.ports).map((p) => [p.name, p.value])),
    facts,
    tied,
    size,
  };
}

/** Looks at a model as compiling does: in its canonical form, with types inferred. The argument is not changed. */
export function inspect(source: Model): InspectReport {
  const model = infer(canonicalize(source));
  const found = findSites(model);
  const views = allViews(model);
  const initializers = new Map(views.flatMap((v) => [...v.graph.initializers]));
  const floats = [...initializers.values()].filter((t) => isFloat(t.dtype));
  const count = (list: typeof floats) => list.reduce((a, t) => a + elements(t.shape), 0);
  const parameters = count(floats);
  const inSite = new Set(found.sites.flatMap((s) => s.nodes));
  const ops = new Map<string, { count: number; outside: number }>();
  for (const n of views.flatMap((v): readonly Node[] => v.graph.nodes)) {
    const o = ops.get(typeOf(n)) ?? { count: 0, outside: 0 };
    ops.set(typeOf(n), { count: o.count + 1, outside: o.outside + (inSite.has(n) ? 0 : 1) });
  }
  const roles = [...new Set(found.sites.map((s) => s.role))].map((role) => {
    const own = found.sites.filter((s) => s.role === role);
    const unique = new Map(own.map((s) => [s.ports['weight']?.value ?? s.id, s.size]));
    const size = [...unique.values()].reduce((a, b) => a + b, 0);
    return { role, sites: own.length, parameters: size, share: parameters === 0 ? 0 : size / parameters };
  });
  const groups = new Map<string, string[]>();
  for (const s of found.sites) groups.set(s.tied, [...(groups.get(s.tied) ?? []), s.id]);
  return {
    model: {
      producer: `${source.producer} ${source.producerVersion}`.trim(),
      ir: source.irVersion,
      opsets: Object.fromEntries(source.opsets),
      nodes: source.graph.nodes.length,
      inputs: source.graph.inputs.map((i) => i.name).filter((i) => !source.graph.initializers.has(i)),
      outputs: source.graph.outputs.map((o) => o.name),
      parameters,
      bytes: floats.reduce((a, t) => a + (elements(t.shape) * bitsOf(t.dtype)) / 8, 0),
    },
    sites: found.sites.map((s) => inspected(s, initializers.get(s.ports['weight']?.value ?? '')?.dtype)),
    edges: found.edges,
    streams: found.streams,
    blocks: found.blocks,
    tied: [...groups].filter(([, sites]) => sites.length > 1).map(([name, sites]) => ({ name, sites })),
    misses: found.misses,
    totals: { roles: roles.sort((a, b) => b.parameters - a.parameters || b.sites - a.sites), weights: coverage(views, found.sites) },
    ops: [...ops].map(([op, n]) => ({ op, ...n })).sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1)),
  };
}

const UNITS = ['B', 'KB', 'MB', 'GB'] as const;
const scaled = (n: number, step: number, units: readonly string[]): string => {
  const i = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log(Math.max(n, 1)) / Math.log(step))));
  const x = n / step ** i;
  return `${i === 0 ? x : x.toPrecision(3)}${units[i] === '' ? '' : ` ${units[i]}`}`;
};
const bytesText = (n: number): string => scaled(n, 1000, UNITS);
const countText = (n: number): string => scaled(n, 1000, ['', 'K', 'M', 'G']);
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** Columns as wide as they must be, two spaces apart. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const width = head.map((_, i) => Math.max(...all.map((r) => (r[i] ?? '').length)));
  return all.map((r) => `${r.map((c, i) => c.padEnd(width[i]!)).join('  ')}`.trimEnd()).join('\n');
}

/** `0..5`, or `0,2,4`. */
function span(blocks: readonly number[]): string {
  const run = blocks.every((b, i) => i === 0 || b === blocks[i - 1]! + 1);
  return run && blocks.length > 1 ? `${blocks[0]}..${blocks.at(-1)}` : blocks.join(',');
}

/** Rows of one table: sites that differ in their block alone share a row. */
function rows(sites: readonly InspectedSite[]): string[][] {
  const groups = new Map<string, { site: InspectedSite; path: readonly string[]; numbers: number[]; bytes: number }>();
  for (const s of sites) {
    const cut = s.block === undefined ? null : /^(.*?)\.(\d+)(\..*)?$/.exec(s.path);
    const [before = s.path, number, after = ''] = cut?.slice(1) ?? [];
    const key = JSON.stringify([
      s.role,
      before,
      number === undefined ? '' : '#',
      after,
      s.form,
      s.weight?.shape,
      s.weight?.dtype,
      s.members,
    ]);
    const g = groups.get(key) ?? { site: s, path: [before, after], numbers: [], bytes: 0 };
    if (number !== undefined) g.numbers.push(Number(number));
    g.bytes += s.weight?.bytes ?? 0;
    groups.set(key, g);
  }
  return [...groups.values()].map(({ site, path, numbers, bytes }) => {
    const many = numbers.length > 1 ? `{${span(numbers)}}` : `${numbers[0] ?? ''}`;
    const name = numbers.length === 0 ? site.path : `${path[0]}.${many}${path[1]}`;
    const n = numbers.length > 1 ? `${numbers.length} × ` : '';
    const { weight: w } = site;
    return [
      site.role,
      name,
      `${n}${site.form}`,
      w ? w.shape.join('×') : '',
      w?.dtype ?? '',
      w ? bytesText(bytes) : '',
      site.members.join(' '),
    ];
  });
}

/** The report for people. Sites of repeated blocks share a row; `misses` also lists what was no site, with the reason. */
export function inspectionText(r: InspectReport, options: { readonly misses?: boolean } = {}): string {
  const m = r.model;
  const opsets = Object.entries(m.opsets).map(([d, v]) => `${d === '' ? 'opset' : d} ${v}`);
  const outside = r.ops.filter((o) => o.outside > 0 && o.op !== 'Constant').map((o) => `${o.op} ${o.outside}`);
  const w = r.totals.weights;
  const parts = [
    `${[m.producer, ...opsets, `${m.nodes} nodes`, `${countText(m.parameters)} parameters`, bytesText(m.bytes)].filter((x) => x !== '').join(' · ')}`,
    table(['role', 'path', 'form', 'weight', 'type', 'bytes', 'members'], rows(r.sites)),
    table(
      ['role', 'sites', 'parameters', 'share'],
      r.totals.roles.map((t) => [t.role, `${t.sites}`, countText(t.parameters), percent(t.share)]),
    ),
    `weights of MatMul, Gemm and Conv: ${percent(w.share)} are sites (${w.covered} of ${w.parameters})`,
    r.tied.length ? `tied groups: ${r.tied.map((t) => t.name).join(' ')}` : 'tied groups: none',
    `${r.blocks.length} blocks: ${r.blocks.map((b) => b.path).join(' ')}`,
    outside.length ? `in no site: ${outside.join(', ')}` : 'every node lies in a site',
    r.misses.length === 0 ? 'no misses' : `${r.misses.length} misses${options.misses ? ':' : ' (--misses lists them)'}`,
  ];
  if (options.misses && r.misses.length)
    parts.push(
      table(
        ['role', 'node', 'why not'],
        r.misses.map((x) => [x.role, x.node, x.why]),
      ),
    );
  return `${parts.join('\n\n')}\n`;
}
