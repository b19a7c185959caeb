/**
 * The graph, as pure data. One Model is one ONNX file; nothing here reads or writes.
 * Tensors are lazy: bytes in memory, a range of a file, or an expression over other tensors.
 */

import type { EvalContext } from '../host.ts';

/** Element types under the field's (numpy / ml_dtypes) names. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'int2'
  | 'uint2'
  | 'int4'
  | 'uint4'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'float8e8m0'
  | 'float4e2m1'
  | 'bool'
  | 'string'
  | 'complex64'
  | 'complex128';

/** A dimension: a size, a symbol (the exporter's dim_param, or one that inference made: `?12`). */
export type Dim = number | string;

/** A range of a file below the model's folder. `file` is relative to that folder. */
export interface FileRange {
  readonly file: string;
  /** The folder that `file` is relative to, where it is not the model's (a scratch folder). */
  readonly dir?: string;
  readonly at: number;
  readonly len: number;
}

/** Where a tensor's raw little-endian bytes are (ONNX raw_data encoding; 4-bit types are packed low nibble first). */
export type TensorSource =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | ({ readonly kind: 'file' } & FileRange)
  | { readonly kind: 'strings'; readonly strings: readonly Uint8Array[] }
  | { readonly kind: 'lazy'; readonly lazy: LazyTensor };

/** A tensor of known type and shape whose bytes come when they are asked for. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly source: TensorSource;
  /** Protobuf fields that our schema does not know, kept on the way through. */
  readonly unknown?: Uint8Array;
}

/** A computed tensor. `key` is equal for tensors that one evaluation yields together (codes, scales and zero points of one weight). */
export interface LazyTensor {
  readonly key: string;
  /** Which result of the evaluation this tensor is. */
  readonly part: string;
  /** Computes every part at once; effects only through `ctx`. The evaluator keeps the last key's results, so parts should be written next to each other. */
  evaluate(ctx: EvalContext): Promise<Record<string, Uint8Array>>;
}

/** An integer of an attribute: a bigint only where a number cannot hold it. */
export type Int = number | bigint;

export type Attr = AttrValue & {
  /** Fields of the AttributeProto that our schema does not know. */
  readonly unknown?: Uint8Array;
};

export type AttrValue =
  | { readonly type: 'int'; readonly value: Int }
  | { readonly type: 'ints'; readonly value: readonly Int[] }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'string'; readonly value: string; readonly raw?: Uint8Array }
  | { readonly type: 'strings'; readonly value: readonly string[]; readonly raw?: readonly Uint8Array[] }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'graphs'; readonly value: readonly Graph[] }
  /** Inside a function body: the value of the function's attribute of this name. */
  | { readonly type: 'ref'; readonly ref: string; readonly of: string }
  /** Sparse tensors, type protos, newer kinds: kept as they came (an encoded AttributeProto). */
  | { readonly type: 'opaque'; readonly bytes: Uint8Array };

export interface Node {
  name: string;
  op: string;
  /** '' is the default ONNX domain. */
  domain: string;
  /** '' marks an absent optional input. */
  inputs: string[];
  outputs: string[];
  attrs: Map<string, Attr>;
  doc?: string;
  overload?: string;
  metadata?: Map<string, string>;
  unknown?: Uint8Array;
}

/** What is known of a value. Non-tensor types (sequence, optional, map) keep their encoded TypeProto in `opaque`. */
export interface ValueInfo {
  name: string;
  dtype?: DType;
  /** undefined: rank unknown. */
  shape?: readonly Dim[];
  doc?: string;
  metadata?: Map<string, string>;
  opaque?: Uint8Array;
  unknown?: Uint8Array;
  /** Found by inference and not in the file: not written. */
  inferred?: boolean;
}

export interface Graph {
  name: string;
  /** In topological order. */
  nodes: Node[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** In file order; a name may also be an input (a default value). */
  initializers: Map<string, Tensor>;
  /** value_info of the file, later extended by inference. */
  values: Map<string, ValueInfo>;
  doc?: string;
  metadata?: Map<string, string>;
  unknown?: Uint8Array;
}

/** A model-local function. */
export interface Func {
  name: string;
  domain: string;
  overload?: string;
  inputs: string[];
  outputs: string[];
  attributes: string[];
  /** Attributes with defaults. */
  defaults: Map<string, Attr>;
  nodes: Node[];
  opsets: Map<string, number>;
  values: Map<string, ValueInfo>;
  doc?: string;
  metadata?: Map<string, string>;
  unknown?: Uint8Array;
}

export interface Model {
  irVersion: number;
  /** Domain → version. */
  opsets: Map<string, number>;
  producer: string;
  producerVersion: string;
  domain: string;
  modelVersion: Int;
  doc: string;
  metadata: Map<string, string>;
  graph: Graph;
  functions: Func[];
  unknown?: Uint8Array;
}
