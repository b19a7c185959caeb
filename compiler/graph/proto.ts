/**
 * The ONNX protobuf schema (onnx.in.proto up to IR 13), as a table: message → field → [number, kind, 'many' if repeated].
 * Only fields that the compiler understands are listed. Every other field, known to ONNX or newer than it (doc strings of tensors,
 * training_info, sparse_initializer, device_configurations …), is collected as raw bytes under `unknown` and written back as it came.
 *
 * Kinds: `int` int32/int64/enum · `float` · `string` · `bytes` · a message name ·
 * `data` the little-endian payload of raw_data, float_data, double_data (packed and unpacked have the same payload; large ones stay in the file) ·
 * `varints` the payload of int32_data, int64_data, uint64_data.
 */
export const schema = {
  Model: {
    ir_version: [1, 'int'],
    producer_name: [2, 'string'],
    producer_version: [3, 'string'],
    domain: [4, 'string'],
    model_version: [5, 'int'],
    doc_string: [6, 'string'],
    graph: [7, 'Graph'],
    opset_import: [8, 'OperatorSetId', 'many'],
    metadata_props: [14, 'StringStringEntry', 'many'],
    functions: [25, 'Function', 'many'],
  },
  Graph: {
    node: [1, 'Node', 'many'],
    name: [2, 'string'],
    initializer: [5, 'Tensor', 'many'],
    doc_string: [10, 'string'],
    input: [11, 'ValueInfo', 'many'],
    output: [12, 'ValueInfo', 'many'],
    value_info: [13, 'ValueInfo', 'many'],
    metadata_props: [16, 'StringStringEntry', 'many'],
  },
  Node: {
    input: [1, 'string', 'many'],
    output: [2, 'string', 'many'],
    name: [3, 'string'],
    op_type: [4, 'string'],
    attribute: [5, 'Attribute', 'many'],
    doc_string: [6, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
    metadata_props: [9, 'StringStringEntry', 'many'],
  },
  Attribute: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int'],
    s: [4, 'bytes'],
    t: [5, 'Tensor'],
    g: [6, 'Graph'],
    floats: [7, 'float', 'many'],
    ints: [8, 'int', 'many'],
    strings: [9, 'bytes', 'many'],
    tensors: [10, 'Tensor', 'many'],
    graphs: [11, 'Graph', 'many'],
    type: [20, 'int'],
    ref_attr_name: [21, 'string'],
  },
  Tensor: {
    dims: [1, 'int', 'many'],
    data_type: [2, 'int'],
    float_data: [4, 'data', 'many'],
    int32_data: [5, 'varints', 'many'],
    string_data: [6, 'bytes', 'many'],
    int64_data: [7, 'varints', 'many'],
    name: [8, 'string'],
    raw_data: [9, 'data'],
    double_data: [10, 'data', 'many'],
    uint64_data: [11, 'varints', 'many'],
    external_data: [13, 'StringStringEntry', 'many'],
    data_location: [14, 'int'],
  },
  ValueInfo: {
    name: [1, 'string'],
    type: [2, 'bytes'],
    doc_string: [3, 'string'],
    metadata_props: [4, 'StringStringEntry', 'many'],
  },
  Type: { tensor_type: [1, 'TensorType'] },
  TensorType: { elem_type: [1, 'int'], shape: [2, 'Shape'] },
  Shape: { dim: [1, 'Dimension', 'many'] },
  Dimension: { dim_value: [1, 'int'], dim_param: [2, 'string'] },
  Function: {
    name: [1, 'string'],
    input: [4, 'string', 'many'],
    output: [5, 'string', 'many'],
    attribute: [6, 'string', 'many'],
    node: [7, 'Node', 'many'],
    doc_string: [8, 'string'],
    opset_import: [9, 'OperatorSetId', 'many'],
    domain: [10, 'string'],
    attribute_proto: [11, 'Attribute', 'many'],
    value_info: [12, 'ValueInfo', 'many'],
    overload: [13, 'string'],
    metadata_props: [14, 'StringStringEntry', 'many'],
  },
  OperatorSetId: { domain: [1, 'string'], version: [2, 'int'] },
  StringStringEntry: { key: [1, 'string'], value: [2, 'string'] },
  /** Read only to know the names that sparse initializers define (Graph field 15). */
  SparseTensor: { values: [1, 'Tensor'] },
} as const;

/** Graph.sparse_initializer: kept among the unknown fields. */
export const SPARSE_INITIALIZER = 15;

/** The newest versions that this compiler reads. */
export const MAX_IR = 13;
export const MAX_OPSET = 25;
export const MIN_OPSET = 11;

export type Schema = typeof schema;
export type MessageName = keyof Schema;

/** A range of the file that is being read, instead of bytes in memory. */
export interface Span {
  readonly at: number;
  readonly len: number;
}
export type Data = Uint8Array | Span;

type Kind<K> = K extends 'int'
  ? number | bigint
  : K extends 'float'
    ? number
    : K extends 'string'
      ? string
      : K extends 'bytes' | 'varints'
        ? Uint8Array
        : K extends 'data'
          ? Data
          : K extends MessageName
            ? Message<K>
            : never;

/** A decoded message: a plain object; absent fields are absent. */
export type Message<N extends MessageName> = {
  -readonly [F in keyof Schema[N]]?: Schema[N][F] extends readonly [number, infer K, 'many']
    ? Kind<K>[]
    : Schema[N][F] extends readonly [number, infer K]
      ? Kind<K>
      : never;
} & { unknown?: Uint8Array };

/** AttributeProto.AttributeType. */
export const AttrType = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
  SPARSE_TENSOR: 11,
  SPARSE_TENSORS: 12,
  TYPE_PROTO: 13,
  TYPE_PROTOS: 14,
} as const;

export type AttrTypeName = keyof typeof AttrType;
