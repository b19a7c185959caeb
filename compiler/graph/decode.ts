/** Decoded messages → Model. Synchronous: payloads that stayed in the file are turned into file ranges. */
import { fail } from '../../grammar/diagnostics.ts';
import { dtypeOf } from './dtype.ts';
import { AttrType, type AttrTypeName, type Message } from './proto.ts';
import { decodeTensor, type Origin } from './tensorproto.ts';
import type { Attr, Dim, Func, Graph, Model, Node, ValueInfo } from './types.ts';
import { decode } from './wire.ts';
import { encode } from './wireout.ts';

const utf8 = new TextDecoder();
const attrNames = new Map(Object.entries(AttrType).map(([k, v]) => [v as number, k as AttrTypeName]));

/** The default domain has two spellings. */
export const domainOf = (d: string | undefined): string => (d === undefined || d === 'ai.onnx' ? '' : d);

export function toModel(m: Message<'Model'>, origin: Origin): Model {
  return {
    irVersion: Number(m.ir_version ?? 0),
    opsets: opsetsOf(m.opset_import),
    producer: m.producer_name ?? '',
    producerVersion: m.producer_version ?? '',
    domain: m.domain ?? '',
    modelVersion: m.model_version ?? 0,
    doc: m.doc_string ?? '',
    metadata: entries(m.metadata_props),
    graph: toGraph(m.graph ?? {}, origin),
    functions: (m.functions ?? []).map((f) => toFunc(f, origin)),
    ...rest(m),
  };
}

const opsetsOf = (list: Message<'OperatorSetId'>[] | undefined): Map<string, number> =>
  new Map((list ?? []).map((o) => [domainOf(o.domain), Number(o.version ?? 0)]));

const entries = (list: Message<'StringStringEntry'>[] | undefined): Map<string, string> =>
  new Map((list ?? []).map((e) => [e.key ?? '', e.value ?? '']));

/** What most messages have: doc string, metadata, unknown fields; only those that are there. */
function rest(m: { doc_string?: string; metadata_props?: Message<'StringStringEntry'>[]; unknown?: Uint8Array }): {
  unknown?: Uint8Array;
} {
  return m.unknown === undefined ? {} : { unknown: m.unknown };
}
function notes(m: { doc_string?: string; metadata_props?: Message<'StringStringEntry'>[]; unknown?: Uint8Array }): {
  doc?: string;
  metadata?: Map<string, string>;
  unknown?: Uint8Array;
} {
  return {
    ...(m.doc_string === undefined ? {} : { doc: m.doc_string }),
    ...(m.metadata_props === undefined ? {} : { metadata: entries(m.metadata_props) }),
    ...rest(m),
  };
}

export function toGraph(g: Message<'Graph'>, origin: Origin): Graph {
  const graph: Graph = {
    name: g.name ?? '',
    nodes: (g.node ?? []).map((n) => toNode(n, origin)),
    inputs: (g.input ?? []).map(toValueInfo),
    outputs: (g.output ?? []).map(toValueInfo),
    initializers: new Map(),
    values: new Map((g.value_info ?? []).map((v) => [v.name ?? '', toValueInfo(v)])),
    ...notes(g),
  };
  for (const t of g.initializer ?? []) {
    const name = t.name ?? '';
    if (graph.initializers.has(name)) {
      fail('duplicate-value', `two initializers are called "${name}"`, 'an ONNX graph defines every value once; export the model again');
    }
    graph.initializers.set(name, decodeTensor(t, `initializer "${name}"`, origin));
  }
  return graph;
}

function toFunc(f: Message<'Function'>, origin: Origin): Func {
  return {
    name: f.name ?? '',
    domain: domainOf(f.domain),
    ...(f.overload === undefined || f.overload === '' ? {} : { overload: f.overload }),
    inputs: f.input ?? [],
    outputs: f.output ?? [],
    attributes: f.attribute ?? [],
    defaults: new Map((f.attribute_proto ?? []).map((a) => [a.name ?? '', toAttr(a, `function "${f.name ?? ''}"`, origin)])),
    nodes: (f.node ?? []).map((n) => toNode(n, origin)),
    opsets: opsetsOf(f.opset_import),
    values: new Map((f.value_info ?? []).map((v) => [v.name ?? '', toValueInfo(v)])),
    ...notes(f),
  };
}

function toNode(n: Message<'Node'>, origin: Origin): Node {
  const where = nodeLabel(n.op_type ?? '', n.name ?? '', n.output ?? []);
  if (n.op_type === undefined || n.op_type === '')
    fail('bad-node', `${where} has no operator type`, 'the file is damaged; export the model again');
  const attrs = new Map<string, Attr>();
  for (const a of n.attribute ?? []) {
    const name = a.name ?? '';
    if (attrs.has(name)) fail('bad-attribute', `${where} has two attributes "${name}"`);
    attrs.set(name, toAttr(a, where, origin));
  }
  return {
    name: n.name ?? '',
    op: n.op_type,
    domain: domainOf(n.domain),
    inputs: n.input ?? [],
    outputs: n.output ?? [],
    attrs,
    ...(n.overload === undefined || n.overload === '' ? {} : { overload: n.overload }),
    ...notes(n),
  };
}

/** How a node is called in messages: by name, else by what it yields. */
export const nodeLabel = (op: string, name: string, outputs: readonly string[]): string =>
  name !== '' ? `node "${name}" (${op})` : `node ${op} → "${outputs[0] ?? ''}"`;

function toAttr(a: Message<'Attribute'>, where: string, origin: Origin): Attr {
  const what = `attribute "${a.name ?? ''}" of ${where}`;
  const type = attrNames.get(Number(a.type ?? 0)) ?? guessType(a);
  const extra = a.unknown === undefined ? {} : { unknown: a.unknown };
  if (a.ref_attr_name !== undefined && a.ref_attr_name !== '') return { type: 'ref', ref: a.ref_attr_name, of: type ?? '', ...extra };
  const need = <T>(v: T | undefined, field: string): T =>
    v ?? fail('bad-attribute', `${what} says that it is ${type}, but has no ${field}`, 'the file is damaged; export the model again');
  switch (type) {
    // proto3 writers leave out zeros
    case 'FLOAT':
      return { type: 'float', value: onlyWith(a, 'f', what) ?? 0, ...extra };
    case 'INT':
      return { type: 'int', value: onlyWith(a, 'i', what) ?? 0, ...extra };
    case 'STRING':
      return { type: 'string', ...text(onlyWith(a, 's', what) ?? new Uint8Array(0)), ...extra };
    case 'FLOATS':
      return { type: 'floats', value: onlyWith(a, 'floats', what) ?? [], ...extra };
    case 'INTS':
      return { type: 'ints', value: onlyWith(a, 'ints', what) ?? [], ...extra };
    case 'STRINGS':
      return { type: 'strings', ...texts(onlyWith(a, 'strings', what) ?? []), ...extra };
    case 'TENSOR':
      return { type: 'tensor', value: decodeTensor(need(a.t, 'tensor'), what, origin), ...extra };
    case 'GRAPH':
      return { type: 'graph', value: toGraph(need(a.g, 'graph'), origin), ...extra };
    case 'GRAPHS':
      return { type: 'graphs', value: (a.graphs ?? []).map((g) => toGraph(g, origin)), ...extra };
    default:
      if (type === undefined && a.unknown === undefined) {
        fail('bad-attribute', `${what} has an unknown type (${Number(a.type ?? 0)})`, 'the file is damaged or newer than this compiler');
      }
      return { type: 'opaque', bytes: encode('Attribute', a) };
  }
}

type Payload = 'f' | 'i' | 's' | 't' | 'g' | 'floats' | 'ints' | 'strings' | 'tensors' | 'graphs';
const payloads: readonly Payload[] = ['f', 'i', 's', 't', 'g', 'floats', 'ints', 'strings', 'tensors', 'graphs'];

/** The payload in `field`; a payload in any other field contradicts the attribute's type. */
function onlyWith<F extends Payload>(a: Message<'Attribute'>, field: F, what: string): Message<'Attribute'>[F] {
  const other = payloads.find((p) => p !== field && a[p] !== undefined);
  if (other !== undefined && a[field] === undefined) {
    const type = attrNames.get(Number(a.type ?? 0));
    fail('bad-attribute', `${what} says that it is ${type}, but carries "${other}"`, 'the file is damaged; export the model again');
  }
  return a[field];
}

/** Very old files have no `type`. */
function guessType(a: Message<'Attribute'>): AttrTypeName | undefined {
  if (a.type !== undefined && Number(a.type) !== 0) return undefined;
  const found = payloads.find((p) => a[p] !== undefined);
  const types: Record<Payload, AttrTypeName> = {
    f: 'FLOAT',
    i: 'INT',
    s: 'STRING',
    t: 'TENSOR',
    g: 'GRAPH',
    floats: 'FLOATS',
    ints: 'INTS',
    strings: 'STRINGS',
    tensors: 'TENSORS',
    graphs: 'GRAPHS',
  };
  return found && types[found];
}

function text(raw: Uint8Array): { value: string; raw?: Uint8Array } {
  const value = utf8.decode(raw);
  return value.includes('\ufffd') ? { value, raw } : { value };
}
function texts(raw: Uint8Array[]): { value: string[]; raw?: Uint8Array[] } {
  const value = raw.map((r) => utf8.decode(r));
  return value.some((v) => v.includes('\ufffd')) ? { value, raw } : { value };
}

export function toValueInfo(v: Message<'ValueInfo'>): ValueInfo {
  const name = v.name ?? '';
  return { name, ...(v.type === undefined ? {} : toType(v.type, name)), ...notes(v) };
}

/** Tensor types become dtype and shape. Types that say more (sequences, denotations, newer element types) also stay encoded in `opaque`. */
export function toType(bytes: Uint8Array, value: string): Pick<ValueInfo, 'dtype' | 'shape' | 'opaque'> {
  const type = decode('Type', bytes);
  const tensor = type.tensor_type;
  const dtype = dtypeOf(Number(tensor?.elem_type ?? 0));
  const dims = tensor?.shape && (tensor.shape.dim ?? []);
  const plain = dtype !== undefined && [type, tensor, tensor?.shape, ...(dims ?? [])].every((m) => m?.unknown === undefined);
  return {
    ...(dtype === undefined ? {} : { dtype }),
    ...(dims === undefined ? {} : { shape: dims.map((d, i) => dimOf(d, `?${value}.${i}`)) }),
    ...(plain ? {} : { opaque: bytes }),
  };
}

/** A dimension that says nothing becomes a symbol of its own. */
function dimOf(d: Message<'Dimension'>, anonymous: string): Dim {
  if (d.dim_param !== undefined && d.dim_param !== '') return d.dim_param;
  return d.dim_value === undefined || d.dim_value < 0 ? anonymous : Number(d.dim_value);
}
