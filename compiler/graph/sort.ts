/** Topological order of nodes. */
import type { Node } from './types.ts';
import { uses } from './walk.ts';

/**
 * The nodes in an order in which every value is made before it is used; nodes that are in order already stay where they are.
 * Values that no node makes (inputs, initializers, outer scope) count as there. A cycle is returned as its nodes in order.
 */
export function topological(nodes: readonly Node[]): { order: Node[] } | { cycle: Node[] } {
  const producer = new Map<string, Node>();
  for (const n of nodes) for (const o of n.outputs) if (o !== '') producer.set(o, n);
  const order: Node[] = [];
  const done = new Set<Node>();
  for (const root of nodes) {
    const cycle = visit(root, producer, done, order);
    if (cycle !== undefined) return { cycle };
  }
  return { order };
}

/** Depth first without recursion, since chains of ten thousand nodes exist. */
function visit(root: Node, producer: Map<string, Node>, done: Set<Node>, order: Node[]): Node[] | undefined {
  if (done.has(root)) return undefined;
  const open = new Set<Node>([root]);
  const stack: { node: Node; needs: Node[] }[] = [{ node: root, needs: needs(root, producer) }];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const next = top.needs.shift();
    if (next === undefined) {
      stack.pop();
      open.delete(top.node);
      done.add(top.node);
      order.push(top.node);
    } else if (open.has(next)) {
      const path = stack.map((s) => s.node);
      return path.slice(path.indexOf(next));
    } else if (!done.has(next)) {
      open.add(next);
      stack.push({ node: next, needs: needs(next, producer) });
    }
  }
  return undefined;
}

const needs = (node: Node, producer: Map<string, Node>): Node[] => [...new Set(uses(node).flatMap((name) => producer.get(name) ?? []))];
