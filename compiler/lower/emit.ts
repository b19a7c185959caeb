/** A list of nodes in the making: each call adds one and names its result. */
import { dtypeNumbers } from '../graph/dtype.ts';
import type { DType, Node, Tensor } from '../graph/types.ts';
import type { Editor } from './editor.ts';
import { type AttrValue, int64s, node, numbers } from './make.ts';

export class Emit {
  readonly nodes: Node[] = [];
  /** Initializers that these nodes brought. */
  readonly initializers: string[] = [];
  readonly editor: Editor;
  private readonly prefix: string;

  constructor(editor: Editor, prefix: string) {
    this.editor = editor;
    this.prefix = prefix;
  }

  /** Version of the default operator set. */
  get opset(): number {
    return this.editor.model.opsets.get('') ?? 0;
  }

  name(suffix: string): string {
    return this.editor.fresh(`${this.prefix}/${suffix}`);
  }

  /** Adds a node with one result; `out` names the result where it must have a given name. */
  op(op: string, inputs: readonly string[], attrs: Readonly<Record<string, AttrValue | undefined>> = {}, out?: string): string {
    const result = out ?? this.name(op.slice(op.lastIndexOf('.') + 1));
    if (op.startsWith('com.microsoft.')) this.editor.model.opsets.set('com.microsoft', 1);
    this.nodes.push(node(op, inputs, [result], attrs));
    return result;
  }

  /** Adds a node with several results. */
  ops(
    op: string,
    inputs: readonly string[],
    suffixes: readonly string[],
    attrs: Readonly<Record<string, AttrValue | undefined>> = {},
  ): string[] {
    const results = suffixes.map((s) => this.name(s));
    this.nodes.push(node(op, inputs, results, attrs));
    return results;
  }

  /** A scalar constant, shared by the whole model. */
  scalar(value: number, dtype: DType = 'float32'): string {
    return this.editor.shared(`qc/${dtype}/${value}`, () => numbers(dtype, [], [value]));
  }

  /** A list of int64, shared by the whole model: shapes and axes. */
  list(values: readonly number[]): string {
    return this.editor.shared(`qc/int64/${values.join('_')}`, () => int64s(values));
  }

  constant(suffix: string, tensor: Tensor): string {
    const name = this.editor.initializer(`${this.prefix}/${suffix}`, tensor);
    this.initializers.push(name);
    return name;
  }

  cast(x: string, to: DType): string {
    return this.op('Cast', [x], { to: dtypeNumbers[to] });
  }

  /** ReduceMax or ReduceMin, dimensions kept; without axes over everything. Axes are an input since version 18. */
  reduce(op: 'ReduceMax' | 'ReduceMin', x: string, axes?: readonly number[]): string {
    if (!axes) return this.op(op, [x], { keepdims: 1 });
    if (this.opset >= 18) return this.op(op, [x, this.list(axes)], { keepdims: 1 });
    return this.op(op, [x], { axes, keepdims: 1 });
  }
}
