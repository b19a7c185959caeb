/** What both kinds of session are opened with, and how they say what went wrong. */
import { dtypeOf } from '../graph/dtype.ts';

export interface SessionOptions {
  /** Threads inside an operator; default 0: ONNX Runtime's own choice. */
  readonly threads?: number;
  /**
   * ONNX Runtime fuses DequantizeLinear + MatMul to MatMulNBits and then computes at this level; 1 is float32, which scores weights as they are
   * (its own default, 4, rounds activations to int8).
   */
  readonly accuracyLevel?: 0 | 1 | 4;
  /** off: the graph as it is, no fusion. */
  readonly optimize?: 'off' | 'all';
  /** Weights stay where they are, in the file that is mapped, instead of being copied in the order in which products read them. */
  readonly lean?: boolean;
  /** Operators of qc.v1 on our kernels, where the addon is; else through their bodies, as stock ONNX Runtime does. */
  readonly kernels?: boolean;
}

/** Session configuration entries (`session.` stands before each) over a model whose external data lies in `folder`. */
export const configOf = (folder: string, options: SessionOptions): Record<string, string> => ({
  model_external_initializers_file_folder_path: folder,
  qdq_matmulnbits_accuracy_level: String(options.accuracyLevel ?? 1),
  // threads that wait for work in a loop take the cores from our own
  'intra_op.allow_spinning': '0',
  ...(options.lean ? { disable_prepacking: '1' } : {}),
});

/** ONNX Runtime's message without its status prefix; type numbers as names. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const type = /^Unsupported data type: (\d+)/.exec(text)?.[1];
  if (type) return `it has an input or output of type ${dtypeOf(Number(type)) ?? type}, which ONNX Runtime for Node cannot pass`;
  return text.replace(/^Error Code \d+ - /, '').trim();
}
