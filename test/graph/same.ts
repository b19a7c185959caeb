/** Equality of models by content: bytes of tensors compared, whatever holds them. */
import * as assert from 'uvu/assert';
import { openTensors } from '../../compiler/graph/bytes.ts';
import type { Attr, Func, Graph, Model, Node, Tensor } from '../../compiler/graph/types.ts';
import { files } from './host.ts';

type Read = (t: Tensor) => Promise<unknown>;

/** Asserts that two loaded models say the same. */
export async function assertSame(a: { model: Model; dir: string }, b: { model: Model; dir: string }): Promise<void> {
  const [ra, rb] = [openTensors(files, a.dir), openTensors(files, b.dir)];
  try {
    assert.equal(await plainModel(a.model, plainTensor(ra.bytes)), await plainModel(b.model, plainTensor(rb.bytes)));
  } finally {
    await ra.close();
    await rb.close();
  }
}

const hex = (b: Uint8Array): string => Buffer.from(b).toString('base64');

const plainTensor =
  (bytes: (t: Tensor) => Promise<Uint8Array>): Read =>
  async (t) => [
    t.dtype,
    t.shape,
    t.unknown && hex(t.unknown),
    t.source.kind === 'strings' ? t.source.strings.map(hex) : hex(await bytes(t)),
  ];

async function plainModel(m: Model, read: Read): Promise<unknown> {
  return { ...m, graph: await plainGraph(m.graph, read), functions: await Promise.all(m.functions.map((f) => plainFunc(f, read))) };
}
async function plainGraph(g: Graph, read: Read): Promise<unknown> {
  const initializers: unknown[] = [];
  for (const [name, t] of g.initializers) initializers.push([name, await read(t)]);
  return { ...g, nodes: await plainNodes(g.nodes, read), initializers };
}
async function plainFunc(f: Func, read: Read): Promise<unknown> {
  return { ...f, nodes: await plainNodes(f.nodes, read), defaults: await plainAttrs(f.defaults, read) };
}
async function plainNodes(nodes: Node[], read: Read): Promise<unknown[]> {
  const out: unknown[] = [];
  for (const n of nodes) out.push({ ...n, attrs: await plainAttrs(n.attrs, read) });
  return out;
}
async function plainAttrs(attrs: ReadonlyMap<string, Attr>, read: Read): Promise<unknown[]> {
  const out: unknown[] = [];
  for (const [name, a] of attrs) {
    if (a.type === 'tensor') out.push([name, await read(a.value)]);
    else if (a.type === 'graph') out.push([name, await plainGraph(a.value, read)]);
    else out.push([name, a]);
  }
  return out;
}
