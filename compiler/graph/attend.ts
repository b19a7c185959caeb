/**
 * Attention as one operator of ONNX Runtime, for models that are only run: scores of one head at a time stay in cache, where single operators write
 * [batch, head, token, token] to memory for each of mask, softmax and what follows. Equal up to the last bits.
 */
import { smallValues } from './numeric.ts';
import type { Attr, Dim, Graph, Model, Node, Tensor, ValueInfo } from './types.ts';

const DOMAIN = 'com.microsoft';

/** What is one operator then. Operands of the products: q [b, h, s, d], k [b, h, d, t], v [b, h, t, e]. */
interface Found {
  readonly last: Node;
  readonly inner: readonly Node[];
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly mask: string | undefined;
  readonly scale: number;
  readonly heads: number;
  /** Rows without a key are zero, not NaN. */
  readonly zeroed: boolean;
}

/** The model with its attentions fused whose inner values nobody else wants. `values`: what is known of shapes and types. */
export function attended(model: Model, values: ReadonlyMap<string, ValueInfo>): Model {
  const { graph } = model;
  const look = lookup(graph, values);
  const found = graph.nodes.flatMap((n) => match(n, look) ?? []);
  if (found.length === 0) return model;
  const inner = new Set(found.flatMap((f) => f.inner));
  const lasts = new Map(found.map((f) => [f.last, f]));
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((n) => {
    const f = lasts.get(n);
    return f ? build(f, initializers) : inner.has(n) ? [] : [n];
  });
  const opsets = new Map(model.opsets);
  if (!opsets.has(DOMAIN)) opsets.set(DOMAIN, 1);
  return { ...model, opsets, graph: { ...graph, nodes, initializers } };
}

type Look = ReturnType<typeof lookup>;

function lookup(graph: Graph, values: ReadonlyMap<string, ValueInfo>) {
  const makers = new Map(graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const readers = new Map<string, Node[]>();
  for (const n of graph.nodes) for (const i of n.inputs) readers.set(i, [...(readers.get(i) ?? []), n]);
  const outputs = new Set(graph.outputs.map((o) => o.name));
  const constant = (name: string): Tensor | undefined => {
    const value = makers.get(name)?.attrs.get('value');
    return graph.initializers.get(name) ?? (value?.type === 'tensor' ? value.value : undefined);
  };
  return {
    maker: (value: string) => makers.get(value),
    /** Its readers, where it is no output. */
    readers: (value: string): readonly Node[] => (outputs.has(value) ? [] : (readers.get(value) ?? [])),
    shape: (value: string): readonly Dim[] | undefined =>
      values.get(value)?.dtype === 'float32' ? values.get(value)!.shape : constant(value)?.shape,
    scalar: (value: string): number | undefined => {
      const t = constant(value);
      return t?.dtype === 'float32' ? smallValues(t, 1)?.[0] : undefined;
    },
  };
}

/** The attention that ends in this product. */
function match(last: Node, look: Look): Found | undefined {
  const [probs, v] = last.inputs;
  if (last.op !== 'MatMul' || last.domain !== '' || !probs || !v) return undefined;
  const safe = zeroing(look.maker(probs), look);
  const softmax = safe ? safe.softmax : look.maker(probs);
  if (softmax?.op !== 'Softmax' || look.readers(softmax.outputs[0]!).length !== (safe ? 2 : 1)) return undefined;
  if (safe && look.readers(probs).length !== 1) return undefined;
  const inner: Node[] = [softmax, ...(safe?.nodes ?? [])];
  let at = softmax.inputs[0]!;
  let mask: string | undefined;
  let scale = 1;
  const only = (op: string): Node | undefined => {
    const n = look.maker(at);
    return n?.op === op && n.domain === '' && look.readers(at).length === 1 ? n : undefined;
  };
  const add = only('Add');
  if (add) {
    const [a, b] = add.inputs as [string, string];
    const first = /^(MatMul|Mul|Div)$/.test(look.maker(a)?.op ?? '') && look.shape(a)?.[1] === look.shape(at)?.[1];
    [at, mask] = first ? [a, b] : [b, a];
    inner.push(add);
  }
  const [by, over] = [only('Mul'), only('Div')];
  const scaled = by ?? over;
  if (scaled) {
    const [x, c] = scaled.inputs as [string, string];
    const factor = look.scalar(c);
    if (factor === undefined || factor <= 0) return undefined;
    scale = by ? factor : 1 / factor;
    inner.push(scaled);
    at = x;
  }
  const product = only('MatMul');
  if (!product) return undefined;
  inner.push(product);
  const [q, k] = product.inputs as [string, string];
  const [shape, keys, held, masked] = [look.shape(q), look.shape(k), look.shape(v), mask === undefined ? undefined : look.shape(mask)];
  const axis = softmax.attrs.get('axis');
  const across = axis?.type === 'int' ? Number(axis.value) : -1;
  const [batch, heads, tokens] = shape ?? [];
  if (shape?.length !== 4 || typeof heads !== 'number' || (across !== -1 && across !== 3)) return undefined;
  // no broadcasting: one batch, one number of heads, a row of the mask for each token
  if (keys?.length !== 4 || held?.length !== 4 || [keys, held].some((s) => s[0] !== batch || s[1] !== heads) || keys[3] !== held[2])
    return undefined;
  if (mask !== undefined && (masked?.length !== 4 || masked[2] !== tokens || masked[3] !== keys[3])) return undefined;
  if (masked && ((masked[0] !== batch && masked[0] !== 1) || (masked[1] !== heads && masked[1] !== 1))) return undefined;
  return { last, inner, q, k, v, mask, scale, heads, zeroed: safe !== undefined };
}

/** `Where(IsNaN(p), 0, p)`. */
function zeroing(where: Node | undefined, look: Look): { readonly softmax: Node; readonly nodes: readonly Node[] } | undefined {
  if (where?.op !== 'Where') return undefined;
  const [asked, zero, p] = where.inputs as [string, string, string];
  const [isnan, softmax] = [look.maker(asked), look.maker(p)];
  if (isnan?.op !== 'IsNaN' || isnan.inputs[0] !== p || look.scalar(zero) !== 0 || look.readers(asked).length !== 1) return undefined;
  return softmax && { softmax, nodes: [where, isnan] };
}

const int = (value: number): Attr => ({ type: 'int', value });

function build(f: Found, initializers: Map<string, Tensor>): Node[] {
  const [result] = f.last.outputs as [string];
  const name = (part: string): string => `${result}/attended/${part}`;
  const constant = (part: string, tensor: Tensor): string => {
    initializers.set(name(part), tensor);
    return name(part);
  };
  const shape = (part: string, sizes: readonly number[]) => {
    const bytes = new Uint8Array(BigInt64Array.from(sizes, BigInt).buffer);
    return constant(part, { dtype: 'int64', shape: [sizes.length], source: { kind: 'bytes', bytes } });
  };
  const node = (op: string, inputs: string[], output: string, attrs: readonly (readonly [string, Attr])[] = [], domain = ''): Node => ({
    name: `${output}/node`,
    op,
    domain,
    inputs,
    outputs: [output],
    attrs: new Map(attrs),
  });
  const perm = (value: readonly number[]) => [['perm', { type: 'ints', value }]] as const;
  const nodes = [
    node('Transpose', [f.q], name('q.turned'), perm([0, 2, 1, 3])),
    node('Reshape', [name('q.turned'), shape('flat', [0, 0, -1])], name('q')),
    node('Transpose', [f.k], name('k'), perm([0, 1, 3, 2])),
    node(
      'MultiHeadAttention',
      [name('q'), name('k'), f.v, ...(f.mask === undefined ? [] : ['', '', f.mask])],
      name('out'),
      [
        ['num_heads', int(f.heads)],
        ['scale', { type: 'float', value: f.scale }],
      ],
      DOMAIN,
    ),
  ];
  let at = name('out');
  if (f.zeroed) {
    const zero = constant('zero', { dtype: 'float32', shape: [], source: { kind: 'bytes', bytes: new Uint8Array(4) } });
    nodes.push(node('IsNaN', [at], name('isnan')), node('Where', [name('isnan'), zero, at], name('zeroed')));
    at = name('zeroed');
  }
  nodes.push(node('Reshape', [at, shape('heads', [0, 0, f.heads, -1])], name('split')));
  nodes.push(node('Transpose', [name('split')], result, perm([0, 2, 1, 3])));
  return nodes;
}
