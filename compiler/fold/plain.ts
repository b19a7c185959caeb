import type { Node } from '../graph/types.ts';
import type { Site } from '../sites.ts';

/** An operator of no site, as one. */
export const plain = (n: Node): Site => ({
  id: `node:${n.outputs[0]}`,
  path: n.name || n.outputs[0]!,
  role: 'node',
  members: [],
  graph: '',
  ports: {},
  nodes: [n],
  form: n.op,
  facts: {},
  tied: '',
  size: 0,
});
