/** Model → messages, the inverse of decode.ts. Where each tensor's bytes go is the caller's to say. */
import { toType } from './decode.ts';
import { dtypeNumbers } from './dtype.ts';
import { AttrType, type AttrTypeName, type Message } from './proto.ts';
import type { Attr, Func, Graph, Model, Node, Tensor, ValueInfo } from './types.ts';
import { decode } from './wire.ts';
import { encode } from './wireout.ts';

/** Where a tensor's bytes are in the written model: in it, or in a file beside it. */
export type Placed = Uint8Array | { readonly location: string; readonly offset: number; readonly length: number };

/** Decides for every tensor that is not of strings. Pure: what it needs was prepared before. */
export type Place = (t: Tensor) => Placed;

const utf8 = new TextEncoder();

/** The protobuf bytes of a model. */
export const encodeWith = (model: Model, place: Place): Uint8Array => encode('Model', fromModel(model, place));

function fromModel(m: Model, place: Place): Message<'Model'> {
  return {
    ir_version: m.irVersion,
    ...filled('producer_name', m.producer),
    ...filled('producer_version', m.producerVersion),
    ...filled('domain', m.domain),
    ...(m.modelVersion === 0 ? {} : { model_version: m.modelVersion }),
    ...filled('doc_string', m.doc),
    graph: fromGraph(m.graph, place),
    opset_import: opsets(m.opsets),
    metadata_props: entries(m.metadata),
    functions: m.functions.map((f) => fromFunc(f, place)),
    ...unknown(m),
  };
}

const filled = <K extends string>(key: K, text: string): { [P in K]?: string } =>
  text === '' ? {} : ({ [key]: text } as { [P in K]: string });
const opsets = (m: ReadonlyMap<string, number>): Message<'OperatorSetId'>[] => [...m].map(([domain, version]) => ({ domain, version }));
const entries = (m: ReadonlyMap<string, string>): Message<'StringStringEntry'>[] => [...m].map(([key, value]) => ({ key, value }));
const unknown = (m: { unknown?: Uint8Array }): { unknown?: Uint8Array } => (m.unknown === undefined ? {} : { unknown: m.unknown });
const notes = (m: { doc?: string; metadata?: ReadonlyMap<string, string>; unknown?: Uint8Array }) => ({
  ...(m.doc === undefined ? {} : { doc_string: m.doc }),
  ...(m.metadata === undefined ? {} : { metadata_props: entries(m.metadata) }),
  ...unknown(m),
});

function fromGraph(g: Graph, place: Place): Message<'Graph'> {
  const declared = new Set([...g.inputs, ...g.outputs].map((v) => v.name));
  return {
    node: g.nodes.map((n) => fromNode(n, place)),
    name: g.name,
    initializer: [...g.initializers].map(([name, t]) => ({ ...fromTensor(t, place), name })),
    input: g.inputs.map(fromValueInfo),
    output: g.outputs.map(fromValueInfo),
    value_info: [...g.values.values()].filter((v) => v.inferred !== true && !declared.has(v.name)).map(fromValueInfo),
    ...notes(g),
  };
}

function fromFunc(f: Func, place: Place): Message<'Function'> {
  return {
    name: f.name,
    domain: f.domain,
    ...filled('overload', f.overload ?? ''),
    input: f.inputs,
    output: f.outputs,
    attribute: f.attributes,
    attribute_proto: [...f.defaults].map(([name, a]) => fromAttr(name, a, place)),
    node: f.nodes.map((n) => fromNode(n, place)),
    opset_import: opsets(f.opsets),
    value_info: [...f.values.values()].map(fromValueInfo),
    ...notes(f),
  };
}

function fromNode(n: Node, place: Place): Message<'Node'> {
  return {
    input: n.inputs,
    output: n.outputs,
    ...filled('name', n.name),
    op_type: n.op,
    ...filled('domain', n.domain),
    ...filled('overload', n.overload ?? ''),
    attribute: [...n.attrs].map(([name, a]) => fromAttr(name, a, place)),
    ...notes(n),
  };
}

function fromAttr(name: string, a: Attr, place: Place): Message<'Attribute'> {
  const base = (type: AttrTypeName) => ({ name, type: AttrType[type], ...unknown(a as { unknown?: Uint8Array }) });
  switch (a.type) {
    case 'int':
      return { ...base('INT'), i: a.value };
    case 'ints':
      return { ...base('INTS'), ints: [...a.value] };
    case 'float':
      return { ...base('FLOAT'), f: a.value };
    case 'floats':
      return { ...base('FLOATS'), floats: [...a.value] };
    case 'string':
      return { ...base('STRING'), s: a.raw ?? utf8.encode(a.value) };
    case 'strings':
      return { ...base('STRINGS'), strings: a.raw === undefined ? a.value.map((s) => utf8.encode(s)) : [...a.raw] };
    case 'tensor':
      return { ...base('TENSOR'), t: fromTensor(a.value, place) };
    case 'graph':
      return { ...base('GRAPH'), g: fromGraph(a.value, place) };
    case 'graphs':
      return { ...base('GRAPHS'), graphs: a.value.map((g) => fromGraph(g, place)) };
    case 'ref': {
      const type = AttrType[a.of as AttrTypeName] as number | undefined;
      return { name, ref_attr_name: a.ref, ...(type === undefined ? {} : { type }), ...unknown(a as { unknown?: Uint8Array }) };
    }
    case 'opaque':
      return { ...decode('Attribute', a.bytes), name };
  }
}

const EXTERNAL = 1;

function fromTensor(t: Tensor, place: Place): Message<'Tensor'> {
  const base = { dims: [...t.shape], data_type: dtypeNumbers[t.dtype], ...unknown(t as { unknown?: Uint8Array }) };
  if (t.source.kind === 'strings') return { ...base, string_data: [...t.source.strings] };
  const placed = place(t);
  if (placed instanceof Uint8Array) return { ...base, raw_data: placed };
  return {
    ...base,
    data_location: EXTERNAL,
    external_data: [
      { key: 'location', value: placed.location },
      { key: 'offset', value: String(placed.offset) },
      { key: 'length', value: String(placed.length) },
    ],
  };
}

function fromValueInfo(v: ValueInfo): Message<'ValueInfo'> {
  const type = typeBytes(v);
  return { name: v.name, ...(type === undefined ? {} : { type }), ...notes(v) };
}

/** The encoded type: as it came where it still says the same, else made from dtype and shape. */
function typeBytes(v: ValueInfo): Uint8Array | undefined {
  if (v.opaque !== undefined && sameType(v, toType(v.opaque, v.name))) return v.opaque;
  if (v.dtype === undefined) return v.opaque;
  const shape = v.shape && {
    dim: v.shape.map((d) => (typeof d === 'number' ? { dim_value: d } : d.startsWith('?') ? {} : { dim_param: d })),
  };
  return encode('Type', { tensor_type: { elem_type: dtypeNumbers[v.dtype], ...(shape === undefined ? {} : { shape }) } });
}

const sameType = (a: Pick<ValueInfo, 'dtype' | 'shape'>, b: Pick<ValueInfo, 'dtype' | 'shape'>): boolean =>
  a.dtype === b.dtype && a.shape?.join() === b.shape?.join() && (a.shape === undefined) === (b.shape === undefined);
