/** Edges between sites: what a producer yields and a consumer reads, with nothing between that mixes channels. */
import type { Node } from '../graph/types.ts';
import type { Site, SiteEdge } from '../sites.ts';
import { BLENDS, dataInputs, MOVES, TURNS } from './trace.ts';
import { typeOf, type View } from './view.ts';

/** Operators that treat every channel alike or by its own number. */
const KEEP = new Set([
  ...MOVES,
  'Mul',
  'Add',
  'Sub',
  'Div',
  'Neg',
  'Where',
  'Clip',
  'Concat',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'Resize',
  'Pad',
]);
/** Roles whose sites end an edge. Activations are walked through, as one step. */
const ENDS = new Set(['linear', 'conv', 'norm', 'ssm']);
const STARTS = new Set(['linear', 'conv', 'norm', 'embedding']);
const FURTHEST = 24;

interface Index {
  /** Sites by the node that reads their input. */
  readonly consumer: ReadonlyMap<Node, readonly Site[]>;
  readonly activation: ReadonlyMap<Node, Site>;
  readonly sums: ReadonlyMap<Node, Site>;
  /** Products of probabilities and v: an edge goes through from v. */
  readonly context: ReadonlyMap<Node, string>;
}

function index(v: View, sites: readonly Site[]): Index {
  const consumer = new Map<Node, Site[]>();
  const activation = new Map<Node, Site>();
  const sums = new Map<Node, Site>();
  const context = new Map<Node, string>();
  for (const s of sites) {
    if (ENDS.has(s.role)) for (const n of s.nodes) consumer.set(n, [...(consumer.get(n) ?? []), s]);
    if (s.role === 'activation') for (const n of s.nodes) activation.set(n, s);
    if (s.role === 'residual') for (const n of s.nodes) sums.set(n, s);
    const value = s.role === 'attention' ? s.ports['v']?.value : undefined;
    if (value !== undefined) for (const n of v.consumers(value)) if (s.nodes.includes(n)) context.set(n, value);
  }
  return { consumer, activation, sums, context };
}

/** The edges that leave one site. */
function leaving(v: View, from: Site, x: Index): SiteEdge[] {
  const output = from.ports['output']?.value;
  if (output === undefined) return [];
  const edges = new Map<string, SiteEdge>();
  const seen = new Set<string>([output]);
  let front: { value: string; through: readonly string[] }[] = [{ value: output, through: [] }];
  for (let depth = 0; depth < FURTHEST && front.length > 0; depth++) {
    const next: typeof front = [];
    const go = (values: readonly string[], through: readonly string[]) => {
      for (const value of values) {
        if (value === '' || seen.has(value)) continue;
        seen.add(value);
        next.push({ value, through });
      }
    };
    for (const at of front) {
      for (const n of v.consumers(at.value)) {
        const ends = (x.consumer.get(n) ?? []).filter((s) => s !== from && reads(s, at.value));
        for (const to of ends) if (!edges.has(to.id)) edges.set(to.id, { from: from.id, to: to.id, value: at.value, through: at.through });
        const act = x.activation.get(n);
        const sum = x.sums.get(n);
        if (ends.length > 0 || x.consumer.has(n)) continue;
        if (sum) {
          if (!edges.has(sum.id)) edges.set(sum.id, { from: from.id, to: sum.id, value: at.value, through: at.through });
        } else if (act) go([act.ports['output']!.value], [...at.through, act.form]);
        else if (x.context.get(n) === at.value) go(n.outputs, [...at.through, 'MatMul']);
        else if (KEEP.has(typeOf(n)) && passes(n, at.value)) go(n.outputs, [...at.through, typeOf(n)]);
      }
    }
    front = next;
  }
  return [...edges.values()];
}

const reads = (s: Site, value: string): boolean =>
  Object.values(s.ports).some((p) => p.kind === 'activation' && p.name !== 'output' && p.value === value);
/** The value is data of the node, not a shape or an index. */
const passes = (n: Node, value: string): boolean => !MOVES.has(typeOf(n)) || n.inputs[0] === value;

/** Linears behind a value, through movements and element-wise operators (rotary embeddings among them). */
function behind(v: View, value: string, linears: ReadonlyMap<string, Site>): Site[] {
  const found = new Set<Site>();
  const seen = new Set<string>();
  const stack = [value];
  while (stack.length > 0 && seen.size < 256) {
    const at = stack.pop()!;
    if (seen.has(at)) continue;
    seen.add(at);
    const linear = linears.get(at);
    const n = v.producer(at);
    if (linear) found.add(linear);
    else if (n && (MOVES.has(typeOf(n)) || TURNS.has(typeOf(n)) || BLENDS.has(typeOf(n)))) stack.push(...dataInputs(v, n));
  }
  return [...found];
}

/** q and k of each attention: their channels are summed together, so that a scale of one is undone by the other. */
function products(v: View, sites: readonly Site[]): SiteEdge[] {
  const linears = new Map(sites.filter((s) => s.role === 'linear').map((s) => [s.ports['output']!.value, s]));
  return sites
    .filter((s) => s.role === 'attention' && s.ports['q'] && s.ports['k'])
    .flatMap((s) => {
      const [q, k] = [behind(v, s.ports['q']!.value, linears), behind(v, s.ports['k']!.value, linears)];
      if (q.length !== 1 || k.length !== 1 || q[0] === k[0]) return [];
      return [{ from: q[0]!.id, to: k[0]!.id, value: s.ports['q']!.value, through: [s.form], tied: true as const }];
    });
}

/** All edges of one graph, by producer in order. Readers and writers of a residual stream are edges from and to its site. */
export function findEdges(v: View, sites: readonly Site[]): SiteEdge[] {
  const here = sites.filter((s) => s.graph === v.path);
  const x = index(v, here);
  const out = here.filter((s) => STARTS.has(s.role)).flatMap((s) => leaving(v, s, x));
  for (const stream of here.filter((s) => s.role === 'residual')) {
    const values = new Set([stream.ports['input']!.value, ...stream.nodes.map((n) => n.outputs[0]!)]);
    for (const s of here) {
      if (!ENDS.has(s.role)) continue;
      const read = Object.values(s.ports).find((p) => p.name === 'input' && values.has(v.origin(p.value)));
      if (read) out.push({ from: stream.id, to: s.id, value: read.value, through: [] });
    }
  }
  return [...out, ...products(v, here)];
}
