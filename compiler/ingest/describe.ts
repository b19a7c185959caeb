/** The numbers of sites: from what a graph says of its nodes, and from what a plan says of its slots, in the same words. */
import type { Expr } from '../../grammar/ast.ts';
import { elements } from '../graph/dtype.ts';
import type { Model } from '../graph/types.ts';
import { allNodes } from '../graph/walk.ts';
import { integer } from '../import/args.ts';
import { call, type Fields, list, name, number } from '../import/ast.ts';
import type { Grain, QType } from '../plan/types.ts';
import type { Port, Site, Sites } from '../sites.ts';
import { type Annotations, NOTED, type ValueFacts, type WeightFacts } from './facts.ts';

/** The numbers of one port. */
export interface Numbers {
  readonly format: WeightFacts['format'];
  readonly bits: number;
  readonly symmetric: boolean;
  readonly grain: Grain;
  /** Undefined for weights. */
  readonly mode?: 'static' | 'dynamic';
}

const grainText = (g: Grain): string => (g.per === 'group' ? `group ${g.group}` : g.per === 'block' ? `block ${g.rows}x${g.cols}` : g.per);
/** Equal text, equal numbers. */
export function keyOf(n: Numbers): string {
  if (n.format === 'float16' || n.format === 'bfloat16') return n.format;
  const codes = n.format === 'int' ? `${n.symmetric ? 'int' : 'uint'}${n.bits}` : n.format;
  const grain = n.format === 'mxfp4' || n.format === 'nvfp4' ? '' : ` ${grainText(n.grain)}`;
  return `${codes}${grain}${n.mode ? ` ${n.mode}` : ''}`;
}

/** What a plan gives to a port. */
export function numbersOf(t: QType, kind: Port['kind']): Numbers {
  const fp = t.codes?.kind === 'float' ? t.codes.name : undefined;
  const small = t.scaleType === 'e8m0' ? 'mxfp4' : t.scaleType === 'nv' ? 'nvfp4' : undefined;
  const format = (small ?? (fp === 'e4m3' ? 'fp8' : fp === 'e5m2' ? 'fp8_e5m2' : t.codes ? 'int' : t.format.name)) as Numbers['format'];
  return { format, bits: t.bits, symmetric: t.symmetric, grain: t.grain, ...(kind === 'weight' ? {} : { mode: t.mode }) };
}

/** Granularity of a weight by the number of its scales. */
function weightGrain(f: WeightFacts, port: Port): Grain {
  const shape = (port.shape ?? []).map(Number);
  const out = shape[port.axes['out'] ?? 0] ?? 1;
  const reduce = elements(shape) / Math.max(out, 1);
  if (f.block !== undefined) {
    const groups = Math.ceil(reduce / f.block);
    const rows = Math.max(1, Math.round((out * groups) / Math.max(f.scales, 1)));
    return rows === 1 ? { per: 'group', group: f.block } : { per: 'block', rows, cols: f.block };
  }
  if (f.scales === out) return { per: 'channel' };
  if (f.scales <= 1) return { per: 'tensor' };
  if (f.scales % out === 0) return { per: 'group', group: reduce / (f.scales / out) };
  const [a = 1, b = 1] = (f.scaleShape ?? []).filter((d) => d > 1);
  return out % a === 0 && reduce % b === 0
    ? { per: 'block', rows: out / a, cols: reduce / b }
    : { per: 'block', rows: out / b, cols: reduce / a };
}

function valueGrain(f: ValueFacts, port: Port, site: Site): Grain {
  if (f.per === 'group') return { per: 'group', group: f.group ?? 32 };
  if (f.per === 'rows') return { per: site.role === 'attention' && port.name !== 'output' ? 'head' : 'token' };
  return { per: f.per };
}

/** Roles that stand for others; their ports are those of their parts. */
const composite = new Set(['residual', 'branch', 'mlp', 'temporal']);

/** Numbers by site and port: `id.port`. `used` are the annotations that a port has. */
export function describe(sites: Sites, notes: Annotations, model: Model): { numbers: Map<string, Numbers>; unused: number } {
  const numbers = new Map<string, Numbers>();
  // A zero point in the middle says nothing by itself: among ones that are elsewhere it is one of them.
  const moved = [...notes.inputs.values()].some((f) => f.mode === 'static' && f.format === 'int' && !f.symmetric);
  const symmetric = (f: ValueFacts) => f.symmetric && !(f.middle && moved);
  const used = new Set<string>();
  for (const site of sites.sites) {
    if (composite.has(site.role)) continue;
    for (const port of Object.values(site.ports)) {
      if (port.kind === 'weight') {
        const f = site.nodes.map((n) => notes.weights.get(n.metadata?.get(NOTED) ?? '')).find((x) => x !== undefined);
        if (f) numbers.set(`${site.id}.weight`, { format: f.format, bits: f.bits, symmetric: f.symmetric, grain: weightGrain(f, port) });
        continue;
      }
      for (const n of site.nodes)
        n.inputs.forEach((v, i) => {
          const key = `${n.metadata?.get(NOTED)}#${i}`;
          const f = v === port.value ? notes.inputs.get(key) : undefined;
          if (!f || port.name === 'output') return;
          used.add(key);
          numbers.set(`${site.id}.${port.name}`, {
            format: f.format,
            bits: f.bits,
            symmetric: symmetric(f),
            grain: valueGrain(f, port, site),
            mode: f.mode,
          });
        });
    }
  }
  const all = [...allNodes(model.graph)].flatMap(({ node: n }) => n.inputs.map((_, i) => `${n.metadata?.get(NOTED)}#${i}`));
  return { numbers, unused: all.filter((k) => notes.inputs.has(k) && !used.has(k)).length };
}

/** The format and the fields that a statement writes. */
export function spelled(n: Numbers): { format: Expr; fields: Fields } {
  const mode: Fields = n.mode ? { mode: n.mode } : {};
  if (n.format === 'float16' || n.format === 'bfloat16') return { format: name(n.format), fields: {} };
  if (n.format === 'mxfp4' || n.format === 'nvfp4') return { format: name(n.format), fields: mode };
  const g = n.grain;
  const grain: Fields =
    g.per === 'group' ? { group: g.group } : g.per === 'block' ? { block: list(number(g.rows), number(g.cols)) } : { per: g.per };
  const format = n.format === 'int' ? integer(n.bits, n.symmetric) : n.format === 'fp8' ? name('fp8') : call('fp8', ['e5m2']);
  return { format, fields: { ...mode, ...grain } };
}
