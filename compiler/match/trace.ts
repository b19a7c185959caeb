/** Walking the graph from value to value, until a site is met. */
import type { Node } from '../graph/types.ts';
import type { Draft, Known } from './draft.ts';
import { typeOf, type View } from './view.ts';

/** Operators that pass on the elements of their first input (the other inputs are shapes and indices). */
export const MOVES: ReadonlySet<string> = new Set([
  'Reshape',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Split',
  'Slice',
  'Gather',
  'Expand',
  'Tile',
  'Identity',
  'Cast',
  'Dropout',
]);
/** Rotary embeddings as operators: they mix channels of their first input in pairs. */
export const TURNS: ReadonlySet<string> = new Set(['RotaryEmbedding', 'com.microsoft::RotaryEmbedding']);
/** Element-wise operators of several values. */
export const BLENDS: ReadonlySet<string> = new Set(['Mul', 'Add', 'Sub', 'Div', 'Neg', 'Concat', 'Where']);

/** What lies between a value and the sites that it comes from. */
export interface Trace {
  /** Sites where the walk ended, nearest first. */
  readonly sources: readonly Draft[];
  readonly nodes: readonly Node[];
  /** Values that enter: graph inputs and what other operators yield. */
  readonly ends: readonly string[];
}

/** The inputs that a walk follows: data, not shapes. */
export function dataInputs(v: View, n: Node): readonly string[] {
  if (MOVES.has(typeOf(n)) || TURNS.has(typeOf(n))) return n.inputs.slice(0, 1);
  const from = typeOf(n) === 'Where' ? n.inputs.slice(1) : n.inputs;
  return from.filter((i) => i !== '' && !v.constant(i));
}

/**
 * Walks back from `value` through movements and blends. It ends at sites of `stop`; sites of `pass` (norms, activations) are walked
 * through as one step.
 */
export function traceBack(
  v: View,
  known: Known,
  value: string,
  stop: readonly string[],
  pass: readonly string[] = [],
  via: ReadonlySet<string> = new Set([...MOVES, ...TURNS, ...BLENDS]),
  limit = 64,
): Trace {
  const sources = new Set<Draft>();
  const nodes = new Set<Node>();
  const ends = new Set<string>();
  const seen = new Set<string>();
  let front = [value];
  while (front.length > 0 && nodes.size < limit) {
    const next: string[] = [];
    for (const at of front) {
      if (seen.has(at)) continue;
      seen.add(at);
      const site = known.yielding(at);
      const n = v.producer(at);
      if (site && stop.includes(site.role)) sources.add(site);
      else if (site && pass.includes(site.role)) {
        for (const k of site.nodes) nodes.add(k);
        next.push(site.ports['input']!.value);
      } else if (n && via.has(typeOf(n))) {
        nodes.add(n);
        next.push(...dataInputs(v, n));
      } else ends.add(at);
    }
    front = next;
  }
  return { sources: [...sources], nodes: downstream(v, [...nodes], [...sources]), ends: [...ends] };
}

/** Those nodes that depend on the sources; all of them where there is none. Rotary tables and masks are not part of a projection's way. */
function downstream(v: View, nodes: readonly Node[], sources: readonly Draft[]): Node[] {
  if (sources.length === 0) return [...nodes];
  const live = new Set(sources.flatMap((d) => d.nodes.at(-1)!.outputs));
  const sorted = nodes.toSorted((a, b) => v.order(a) - v.order(b));
  return sorted.filter((n) => {
    const reached = dataInputs(v, n).some((i) => live.has(i));
    if (reached) for (const o of n.outputs) live.add(o);
    return reached;
  });
}

/** The first node of one of `targets` that a walk in one direction meets, and the nodes up to it. */
function seek(
  start: string,
  step: (value: string) => readonly Node[],
  beyond: (n: Node) => readonly string[],
  via: ReadonlySet<string>,
  accept: (n: Node, value: string) => boolean,
): { node: Node; value: string; path: readonly Node[] } | undefined {
  let front: { value: string; path: readonly Node[] }[] = [{ value: start, path: [] }];
  const seen = new Set<Node>();
  for (let depth = 0; depth < 16 && front.length > 0; depth++) {
    const next: typeof front = [];
    for (const at of front) {
      for (const node of step(at.value)) {
        if (seen.has(node)) continue;
        if (accept(node, at.value)) return { node, value: at.value, path: at.path };
        if (!via.has(typeOf(node))) continue;
        seen.add(node);
        for (const value of beyond(node)) next.push({ value, path: [...at.path, node] });
      }
    }
    front = next;
  }
  return undefined;
}

/** The nearest node behind `value` that is accepted, through nodes of the types `via`. */
export const seekBack = (v: View, value: string, via: ReadonlySet<string>, accept: (n: Node, value: string) => boolean) =>
  seek(
    value,
    (at) => [v.producer(at)].filter((n) => n !== undefined),
    (n) => dataInputs(v, n),
    via,
    accept,
  );

/** The nearest node after `value` that is accepted. */
export const seekForward = (v: View, value: string, via: ReadonlySet<string>, accept: (n: Node, value: string) => boolean) =>
  seek(
    value,
    (at) => v.consumers(at),
    (n) => n.outputs.filter((o) => o !== ''),
    via,
    accept,
  );
