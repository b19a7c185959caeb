/** Functions of standard operators in the making: the reference bodies of operators of qc.v1. */
import type { Attr, Func, Node } from '../../graph/types.ts';
import { type AttrValue, float32s, int64s, node, numbers } from '../make.ts';

export const DOMAIN = 'qc.v1';

/** Nodes of a body in the making. */
export class Body {
  /** Version of the default operator set that the body is written in, at least 13. */
  readonly opset: number;
  readonly nodes: Node[] = [];
  private count = 0;

  constructor(opset: number) {
    this.opset = opset;
  }

  op(op: string, inputs: readonly string[], attrs: Readonly<Record<string, AttrValue>> = {}, out = `t${this.count++}`): string {
    this.nodes.push(node(op, inputs, [out], attrs));
    return out;
  }
  private constant(attr: Attr, name: string): string {
    const out = `t${this.count++}`;
    this.nodes.push({ ...node('Constant', [], [out]), attrs: new Map([[name, attr]]) });
    return out;
  }
  ints(values: readonly number[]): string {
    return this.constant({ type: 'tensor', value: int64s(values) }, 'value');
  }
  float(value: number): string {
    return this.constant({ type: 'tensor', value: float32s([value], []) }, 'value');
  }
  floats(values: readonly number[]): string {
    return this.constant({ type: 'tensor', value: float32s(values, [values.length]) }, 'value');
  }
  /** One int64 without axes. */
  index(value: number): string {
    return this.constant({ type: 'tensor', value: int64s([value], []) }, 'value');
  }
  /** One int32 without axes. */
  int32(value: number): string {
    return this.constant({ type: 'tensor', value: numbers('int32', [], [value]) }, 'value');
  }
  byte(value: number): string {
    return this.constant({ type: 'tensor', value: numbers('uint8', [], [value]) }, 'value');
  }
  /** The function's own attribute, a list of integers. */
  attribute(name: string): string {
    return this.constant({ type: 'ref', ref: name, of: 'ints' }, 'value_ints');
  }
  /** The function's own attribute, an integer. */
  integerAttribute(name: string): string {
    return this.constant({ type: 'ref', ref: name, of: 'int' }, 'value_int');
  }
  /** The function's own attribute, a float. */
  floatAttribute(name: string): string {
    return this.constant({ type: 'ref', ref: name, of: 'float' }, 'value_float');
  }
  /** Over the last axis, which stays as one. */
  reduce(op: 'ReduceMax' | 'ReduceMin' | 'ReduceMean', x: string): string {
    if (this.opset >= 18) return this.op(op, [x, this.ints([-1])], { keepdims: 1 });
    return this.op(op, [x], { axes: [-1], keepdims: 1 });
  }
  /** Elements [from, to) of a list. */
  slice(list: string, from: number, to: number): string {
    return this.op('Slice', [list, this.ints([from]), this.ints([to]), this.ints([0])]);
  }

  /** The function of these nodes. */
  function(name: string, inputs: readonly string[], outputs: readonly string[], attributes: readonly string[], doc: string): Func {
    const opsets = new Map([['', this.opset]]);
    return {
      name,
      domain: DOMAIN,
      inputs: [...inputs],
      outputs: [...outputs],
      attributes: [...attributes],
      defaults: new Map(),
      nodes: this.nodes,
      opsets,
      values: new Map(),
      doc,
    };
  }
}
