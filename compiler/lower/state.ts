/**
 * The state of a recurrence, which is an input and an output of the body of a Scan. Rounded is what is carried from step to step: the step's own output
 * reads the new state before it is rounded, as a kernel does that holds it in a register.
 */
import type { DType, Graph, Node, ValueInfo } from '../graph/types.ts';
import type { QuantizedValue } from '../simulated.ts';
import type { Editor } from './editor.ts';
import { Emit } from './emit.ts';

/** Is it the state that a Scan carries? */
export const isState = (v: QuantizedValue): boolean => v.site.role === 'ssm' && v.port === 'state';

interface Carried {
  readonly scan: Node;
  readonly body: Graph;
  /** Index of the state among the Scan's inputs (and the body's), and among its outputs. */
  readonly input: number;
  readonly output: number;
  /** The node that makes the new state. */
  readonly update: Node;
  readonly dtype: DType;
}

/** Finds the state on the editor's copy. */
function carried(editor: Editor, v: QuantizedValue): Carried {
  const scan = v.site.nodes.map((n) => editor.copyOf(n)).find((n) => n?.op === 'Scan');
  const attr = scan?.attrs.get('body');
  const next = v.site.facts['next'];
  const update = attr?.type === 'graph' ? attr.value.nodes.find((n) => n.outputs.includes(String(next))) : undefined;
  if (!scan || attr?.type !== 'graph' || !update) throw new Error(`${v.site.id}.${v.port}: no recurrence carries it`);
  const body = attr.value;
  const output = scan.outputs.indexOf(v.value);
  const dtype = editor.view(scan).dtype(scan.inputs[output] ?? '') ?? 'float32';
  return { scan, body, input: output, output, update, dtype };
}

/** What the body's output is made from: the new state, through movements. */
const renamed = (list: ValueInfo[], at: number, to: ValueInfo): ValueInfo[] => list.map((v, i) => (i === at ? to : v));

/** The state rounded, in its float type, before the first step and after each. */
export function carryFloat(editor: Editor, v: QuantizedValue, build: (e: Emit, x: string, dtype: DType) => string): void {
  const c = carried(editor, v);
  const outer = new Emit(editor, `${v.value}/before`);
  const before = build(outer, c.scan.inputs[c.input]!, c.dtype);
  editor.before(c.scan, outer.nodes);
  c.scan.inputs[c.input] = before;
  const inner = new Emit(editor, `${v.value}/each`);
  const after = build(inner, c.body.outputs[c.output]!.name, c.dtype);
  editor.after(c.update, inner.nodes);
  c.body.outputs = renamed(c.body.outputs, c.output, { name: after, dtype: c.dtype });
}

/** The state as codes of type `codes`: the Scan carries integers. */
export function carryCodes(
  editor: Editor,
  v: QuantizedValue,
  codes: DType,
  encode: (e: Emit, x: string, dtype: DType) => string,
  decode: (e: Emit, q: string, dtype: DType) => string,
): readonly Emit[] {
  const c = carried(editor, v);
  const outer = new Emit(editor, `${v.value}/before`);
  const before = encode(outer, c.scan.inputs[c.input]!, c.dtype);
  editor.before(c.scan, outer.nodes);
  c.scan.inputs[c.input] = before;

  const body = new Emit(editor, `${v.value}/each`);
  const old = c.body.inputs[c.input]!.name;
  const held = body.name('held');
  const read = decode(body, held, c.dtype);
  for (const n of c.body.nodes)
    n.inputs.forEach((x, i) => {
      if (x === old) n.inputs[i] = read;
    });
  const after = encode(body, c.body.outputs[c.output]!.name, c.dtype);
  editor.after(c.update, body.nodes);
  c.body.inputs = renamed(c.body.inputs, c.input, { name: held, dtype: codes });
  c.body.outputs = renamed(c.body.outputs, c.output, { name: after, dtype: codes });

  const end = new Emit(editor, `${v.value}/after`);
  const last = end.name('held');
  const result = decode(end, last, c.dtype);
  const node = end.nodes.find((n) => n.outputs.includes(result));
  if (node) node.outputs[node.outputs.indexOf(result)] = v.value;
  c.scan.outputs[c.output] = last;
  editor.after(c.scan, end.nodes);
  return [outer, body, end];
}
