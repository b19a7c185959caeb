/** Where blocks begin and end: the values that enter and leave each, so that a model can be run block by block. */
import type { Node } from '../graph/types.ts';
import { uses } from '../graph/walk.ts';
import type { Site, Sites } from '../sites.ts';
import { typeOf, type View } from './view.ts';

/** Sites that lie in several blocks at once. */
const ACROSS = new Set(['residual', 'temporal', 'branch']);

/**
 * The block of every node, -1 before the first: its own site's, and never less than that of what it reads, so that the blocks can run one
 * after the other. A weight between or after blocks that belongs to none is half a block further.
 */
function labels(v: View, sites: readonly Site[]): Map<Node, number> {
  const own = new Map<Node, number | 'none'>();
  for (const s of sites) {
    if (ACROSS.has(s.role)) continue;
    const heavy = s.ports['weight'] !== undefined || s.role === 'norm';
    for (const n of s.nodes) {
      if (s.block !== undefined) own.set(n, s.block);
      else if (heavy && !own.has(n)) own.set(n, 'none');
    }
  }
  const of = new Map<Node, number>();
  for (const n of v.graph.nodes) {
    const before = Math.max(-1, ...uses(n).map((i) => (v.producer(i) ? (of.get(v.producer(i)!) ?? -1) : -1)));
    const mine = own.get(n);
    const outside = mine === 'none' && before >= 0 ? Math.floor(before) + 0.5 : before;
    of.set(n, Math.max(typeof mine === 'number' ? mine : -1, outside));
  }
  return of;
}

/** The path that the sites of a block share: `layers.0`. */
function pathOf(sites: readonly Site[]): string {
  const [first = [], ...others] = sites.filter((s) => s.ports['weight']).map((s) => s.path.split('.'));
  const end = first.findIndex((part, i) => others.some((o) => o[i] !== part));
  return first.slice(0, end < 0 ? Math.max(1, first.length - 1) : end).join('.');
}

/** The blocks of the main graph in order. */
export function findBlocks(v: View, sites: readonly Site[]): Sites['blocks'] {
  const main = sites.filter((s) => s.graph === v.path);
  const indexes = [...new Set(main.map((s) => s.block).filter((b) => b !== undefined))].sort((a, b) => a - b);
  if (indexes.length === 0) return [];
  const label = labels(v, main);
  const inputs = new Map<number, Set<string>>();
  const outputs = new Map<number, Set<string>>();
  const put = (m: Map<number, Set<string>>, block: number, value: string) => m.set(block, (m.get(block) ?? new Set()).add(value));
  for (const n of v.graph.nodes) {
    const here = label.get(n)!;
    for (const i of uses(n)) {
      const from = v.producer(i);
      const there = from ? label.get(from)! : -1;
      if (here === there || v.constant(i)) continue;
      put(inputs, here, i);
      if (from) put(outputs, there, i);
    }
    for (const o of n.outputs) if (v.isOutput(o) && typeOf(n) !== 'Constant') put(outputs, here, o);
  }
  return indexes.map((index) => ({
    index,
    path: pathOf(main.filter((s) => s.block === index)) || `block.${index}`,
    inputs: [...(inputs.get(index) ?? [])],
    outputs: [...(outputs.get(index) ?? [])],
  }));
}
