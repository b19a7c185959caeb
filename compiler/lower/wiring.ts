/** Where a site's weight and values enter its nodes. */
import type { Node } from '../graph/types.ts';
import type { Site } from '../sites.ts';
import type { Editor } from './editor.ts';

/** The node that computes with a weight, on the editor's copy. */
export interface WeightUse {
  readonly node: Node;
  /** Index of the input that the weight is. */
  readonly index: number;
  /** Identity, Cast and Transpose nodes between the initializer and the node, initializer first. */
  readonly via: readonly Node[];
  /** Axis i of the input is axis perm[i] of the initializer; undefined when they are the same. */
  readonly perm?: readonly number[];
}

const plumbing = new Set(['Identity', 'Cast', 'Transpose']);

/** Finds the node of `site` that computes with the initializer `name`. Errors: no node does (the site is of another graph). */
export function weightUse(editor: Editor, site: Site, name: string): WeightUse {
  for (const source of site.nodes) {
    const node = editor.copyOf(source);
    if (!node || plumbing.has(node.op)) continue;
    const view = editor.view(node);
    for (const [index, input] of node.inputs.entries()) {
      const held = input === '' ? undefined : view.constant(input);
      if (held?.name === name) return { node, index, via: held.via, ...(held.perm ? { perm: held.perm } : {}) };
    }
  }
  throw new Error(`${site.id}: no node computes with "${name}"`);
}

/** Nodes of the site (copies) that read a value. Empty where the site yields it. */
export function readers(editor: Editor, site: Site, value: string): Node[] {
  const nodes = site.nodes.map((n) => editor.copyOf(n)).filter((n): n is Node => n !== undefined);
  const own = nodes.filter((n) => n.inputs.includes(value));
  return own.length > 0 || site.role !== 'ssm' ? own : recurrent(editor, site, nodes, value);
}

/** Between a port of a recurrence and its Scan lie movements, the skip connection and the gate; products beside them have inputs of their own. */
function recurrent(editor: Editor, site: Site, nodes: readonly Node[], value: string): Node[] {
  const scan = nodes[0];
  if (!scan || value === site.ports['state']?.value) return [];
  const users = editor.view(scan).consumers(value);
  return value === site.ports['output']?.value ? [...users] : users.filter((n) => !products.has(n.op));
}
const products = new Set(['MatMul', 'Gemm', 'Conv']);

/** Makes `node` read `to` where it read `from`. */
export function rewire(node: Node, from: string, to: string): void {
  node.inputs.forEach((v, i) => {
    if (v === from) node.inputs[i] = to;
  });
}
