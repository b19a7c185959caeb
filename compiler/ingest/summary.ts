/** Numbers of sites → statements: few, and each speaks of many sites. */
import type { Expr, Stmt } from '../../grammar/ast.ts';
import { printNode } from '../../grammar/printer.ts';
import { calibrate, call, type Fields, name, or, quantize, text } from '../import/ast.ts';
import type { Site, Sites } from '../sites.ts';
import { selection } from './cover.ts';
import { keyOf, type Numbers, spelled } from './describe.ts';

type Ports = Readonly<Record<string, Numbers>>;
const groupOf = (n: Numbers | undefined): number => (n?.grain.per === 'group' ? n.grain.group : 0);

/** Schemes by the numbers of weight and input (of linears, of convolutions); `#` is a group. */
const schemes: Readonly<Record<string, (group: number) => Expr>> = {
  'int4 group # + ': (g) => call('W4A16', [], { group: g }),
  'uint4 group # + ': (g) => call('W4A16_ASYM', [], { group: g }),
  'int8 channel + ': () => name('W8A16'),
  'int8 channel + int8 token dynamic': () => name('W8A8'),
  'conv: int8 channel + uint8 tensor dynamic': () => name('W8A8'),
  'int8 channel + uint8 tensor static': () => name('W8A8_STATIC'),
  'int4 group # + int8 token dynamic': (g) => call('W4A8', [], { group: g }),
  'fp8 channel + fp8 tensor static': () => name('FP8'),
  'fp8 channel + fp8 token dynamic': () => name('FP8_DYNAMIC'),
  'mxfp4 + mxfp4 dynamic': () => name('MXFP4'),
  'mxfp4 + ': () => name('MXFP4A16'),
  'nvfp4 + nvfp4 dynamic': () => name('NVFP4'),
  'nvfp4 + ': () => name('NVFP4A16'),
};

function schemeOf(role: string, ports: Ports): Expr | undefined {
  const { weight, input, ...others } = ports;
  if (!weight || Object.keys(others).length || (role !== 'linear' && role !== 'conv')) return undefined;
  const key = `${keyOf(weight)} + ${input ? keyOf(input) : ''}`;
  const found = Object.keys(schemes).find((k) => {
    const [, only, body] = /^(?:(\w+): )?(.*)$/s.exec(k) ?? [];
    if (only !== undefined && only !== role) return false;
    if (only === undefined && role === 'conv' && Object.hasOwn(schemes, `conv: ${key}`)) return false;
    return body === key.replace(/group \d+/, 'group #');
  });
  // On convolutions the dynamic scheme has other inputs than on linears.
  if (found === 'int8 channel + int8 token dynamic' && role === 'conv') return undefined;
  return found === undefined ? undefined : (schemes[found] as (g: number) => Expr)(groupOf(weight));
}

interface Said {
  readonly of: Expr;
  readonly ports: readonly string[];
  readonly as: Expr;
  readonly fields: Fields;
}

/** Statements for one role: sites with the same numbers together, the largest part first. */
function ofRole(role: string, sites: readonly Site[], portsOf: (s: Site) => Ports): Said[] {
  const parts = new Map<string, { sites: Site[]; ports: Ports }>();
  for (const s of sites) {
    const ports = portsOf(s);
    if (Object.keys(ports).length === 0) continue;
    const key = JSON.stringify(Object.entries(ports).map(([p, n]) => [p, keyOf(n)]));
    const part = parts.get(key) ?? { sites: [], ports };
    part.sites.push(s);
    parts.set(key, part);
  }
  const sorted = [...parts.values()].sort((a, b) => b.sites.length - a.sites.length);
  return sorted.flatMap((part, i): Said[] => {
    // A later part decides its sites itself, if it speaks of every port that this one speaks of.
    const later = sorted.slice(i + 1).filter((x) => Object.keys(part.ports).every((p) => p in x.ports));
    const of = selection(
      role,
      part.sites,
      sites,
      later.flatMap((x) => x.sites),
    );
    const scheme = schemeOf(role, part.ports);
    if (scheme) return [{ of, ports: [], as: scheme, fields: {} }];
    const byNumbers = new Map<string, string[]>();
    for (const [port, n] of Object.entries(part.ports)) byNumbers.set(keyOf(n), [...(byNumbers.get(keyOf(n)) ?? []), port]);
    return [...byNumbers.values()].map((ports) => {
      const { format, fields } = spelled(part.ports[ports[0] as string] as Numbers);
      return { of, ports, as: format, fields };
    });
  });
}

/** One statement for what is said alike of whole roles: `linear or conv`. */
function together(all: readonly Said[], tie: boolean): Stmt[] {
  const out = new Map<string, Said>();
  for (const s of all) {
    const key = printNode(quantize(s.ports, name('x'), s.as, s.fields));
    const known = out.get(key);
    if (known && s.of.kind === 'name') out.set(key, { ...known, of: or(known.of, s.of) });
    else out.set(known ? `${key}|${out.size}` : key, s);
  }
  return [...out.values()].map((s) => quantize(s.ports, s.of, s.as, tie ? { ...s.fields, tie: 'none' } : s.fields));
}

/** Roles in the order in which a recipe speaks of them. */
const order = ['linear', 'conv', 'embedding', 'attention', 'ssm', 'norm', 'softmax', 'activation'];

export interface Summary {
  readonly statements: readonly Stmt[];
  /** What stays in float, in words. */
  readonly left: readonly string[];
}

/** `tie`: members of fused groups differ. */
export function summarize(sites: Sites, numbers: ReadonlyMap<string, Numbers>, tie: boolean): Summary {
  const portsOf = (s: Site): Ports =>
    Object.fromEntries(
      Object.keys(s.ports).flatMap((p) => (numbers.has(`${s.id}.${p}`) ? [[p, numbers.get(`${s.id}.${p}`) as Numbers]] : [])),
    );
  const said: Said[] = [];
  const left: string[] = [];
  for (const role of order) {
    const own = sites.sites.filter((s) => s.role === role);
    if (own.length === 0) continue;
    said.push(...ofRole(role, own, portsOf));
    const weighty = own.filter((s) => s.ports['weight']);
    const float = weighty.filter((s) => !numbers.has(`${s.id}.weight`));
    if (float.length === 0) continue;
    const where =
      float.length === weighty.length
        ? `all ${float.length}`
        : float
            .slice(0, 6)
            .map((s) => s.path)
            .join(', ');
    left.push(`${role}: ${where}${float.length < weighty.length && float.length > 6 ? ` and ${float.length - 6} more` : ''}`);
  }
  const statics = [...numbers.values()].some((n) => n.mode === 'static' && n.format !== 'float16' && n.format !== 'bfloat16');
  return { statements: [...(statics ? [calibrate(call('data', [text('calib')]))] : []), ...together(said, tie)], left };
}
