/** What a recipe does to a model, and who decided: every port, its type, the winner, the shadowed, what stays float and why, operators, bytes. */
import type { Lowered, Target } from '../define.ts';
import type { Model } from '../graph/types.ts';
import type { Planned } from '../plan/plan.ts';
import { coverage, type PortSize, type Sizes, sizesOf } from '../plan/size.ts';
import type { Decider, QType } from '../plan/types.ts';
import type { Port, Site } from '../sites.ts';

/** A statement at its place: `body.qrecipe:12`. */
export interface Said {
  readonly at: string;
  readonly text: string;
}

export interface ExplainedPort {
  readonly site: string;
  readonly path: string;
  readonly role: string;
  readonly block?: number;
  readonly port: string;
  readonly kind: Port['kind'];
  /** Printed type; absent: left in float, and `why`. */
  readonly type?: string;
  readonly why?: string;
  readonly by?: Said;
  readonly shadowed: readonly Said[];
  /** Why the target cannot express the type. */
  readonly refused?: string;
  /** Operators that will be emitted for the site. */
  readonly ops?: readonly string[];
  readonly parameters?: number;
  readonly bytesBefore?: number;
  readonly bytesAfter?: number;
}

export interface Explanation {
  readonly recipe: string;
  readonly version: string;
  readonly target: string;
  readonly ports: readonly ExplainedPort[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Share of the weight parameters of linear and conv sites that have codes. */
  readonly coverage: number;
  readonly variables: Readonly<Record<string, number | string | boolean>>;
  /** Domains of the variables that a search will bind; their values here are where it starts. */
  readonly searched: Readonly<Record<string, readonly (number | string | boolean)[]>>;
}

export const saidOf = (d: Decider): Said => ({ at: `${d.span.file}:${d.span.line}`, text: d.text.replace(/\s+/g, ' ').trim() });

/** Explains a plan for a target. `bytes`: the model's files; `emitted`: what each site becomes; `only`: sites to show (all when absent). */
export function explainPlan(
  plan: Planned,
  model: Model,
  bytes: number,
  target: Target,
  emitted: Lowered['emitted'] = [],
  only?: ReadonlySet<string>,
): Explanation {
  const ops = new Map(emitted.map((e) => [e.site, e.ops]));
  const sizes = sizesOf(plan, model, bytes);
  const shown = (s: Site) => !only || only.has(s.id);
  const types = new Map<string, Record<string, QType>>();
  for (const s of plan.slots) if (s.type) types.set(s.site.id, { ...types.get(s.site.id), [s.port]: s.type });
  const ports: ExplainedPort[] = [];
  for (const slot of plan.slots) {
    if (!shown(slot.site) || !slot.type) continue;
    const refused = target.covers(slot.site, slot.port, slot.type, types.get(slot.site.id) ?? {});
    ports.push({
      ...base(slot.site, slot.port, sizes),
      type: slot.type.text,
      by: saidOf(slot.by),
      shadowed: slot.shadowed.map(saidOf),
      ...(refused === undefined ? {} : { refused }),
      ...(ops.has(slot.site.id) ? { ops: ops.get(slot.site.id)! } : {}),
    });
  }
  for (const u of plan.untouched)
    if (shown(u.site))
      ports.push({
        ...base(u.site, u.port, sizes),
        why: u.why,
        ...(u.by ? { by: saidOf(u.by) } : {}),
        shadowed: (u.shadowed ?? []).map(saidOf),
      });
  const order = new Map(plan.sites.sites.map((s, i) => [s.id, i]));
  ports.sort((a, b) => order.get(a.site)! - order.get(b.site)!);
  return {
    recipe: plan.recipe,
    version: plan.version,
    target: target.name,
    ports,
    bytesBefore: sizes.before,
    bytesAfter: sizes.after,
    coverage: coverage(plan, sizes),
    variables: plan.binding,
    searched: Object.fromEntries(plan.searches.flatMap((s) => s.variables.map((v) => [v.key, v.domain]))),
  };
}

function base(site: Site, port: string, sizes: Sizes): Omit<ExplainedPort, 'shadowed'> {
  const kind = site.ports[port]?.kind ?? 'activation';
  const size: PortSize | undefined = kind === 'weight' ? sizes.weights.get(site.id) : undefined;
  return {
    site: site.id,
    path: site.path,
    role: site.role,
    ...(site.block === undefined ? {} : { block: site.block }),
    port,
    kind,
    ...(size ? { parameters: size.parameters, bytesBefore: size.before, bytesAfter: size.after } : {}),
  };
}

const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ' ');

/** The text form: one line a port, quantized and kept ones; activations that nothing speaks of are only counted. */
export function explanationText(e: Explanation): string {
  const lines: string[] = [`recipe ${e.recipe} ${e.version}, target ${e.target}`];
  const spoken = e.ports.filter((p) => p.type !== undefined || p.by !== undefined || p.kind === 'weight');
  const width = Math.min(48, Math.max(4, ...spoken.map((p) => p.path.length)));
  for (const p of spoken) {
    const bytes = p.bytesBefore === undefined ? '' : `  ${count(p.bytesBefore)} → ${count(p.bytesAfter ?? p.bytesBefore)} B`;
    const type = p.type ?? `float, ${p.why}`;
    lines.push(`${p.path.padEnd(width)}  ${p.port.padEnd(6)}  ${type}${bytes}${p.by ? `  ← ${p.by.at}  ${p.by.text}` : ''}`);
    for (const s of p.shadowed) lines.push(`${' '.repeat(width)}          over ${s.at}  ${s.text}`);
    if (p.ops?.length && p.kind === 'weight') lines.push(`${' '.repeat(width)}          as ${p.ops.join(' ')}`);
    if (p.refused !== undefined) lines.push(`${' '.repeat(width)}          refused by ${e.target}: ${p.refused}`);
  }
  const silent = e.ports.length - spoken.length;
  if (silent) lines.push(`${silent} activations stay float: no statement speaks of them`);
  for (const [k, v] of Object.entries(e.variables))
    lines.push(e.searched[k] ? `variable ${k}: searched in [${e.searched[k].join(', ')}], here ${v}` : `variable ${k} = ${v}`);
  lines.push(
    `${count(e.bytesBefore)} → ${count(Math.round(e.bytesAfter))} B (${(e.bytesAfter / Math.max(1, e.bytesBefore)).toFixed(3)}x), ${(100 * e.coverage).toFixed(1)} % of linear and conv weights quantized`,
  );
  return `${lines.join('\n')}\n`;
}
