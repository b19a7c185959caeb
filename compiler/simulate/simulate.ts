/**
 * The simulated level as a float model: weights are what their codes stand for, activations go through fake quantization.
 * It is the meaning that every target's graph is proved against.
 */
import type { DType, Model, Node, Tensor } from '../graph/types.ts';
import { Editor } from '../lower/editor.ts';
import { Emit } from '../lower/emit.ts';
import { carryFloat, isState } from '../lower/state.ts';
import { readers, rewire, weightUse } from '../lower/wiring.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../simulated.ts';
import { dequantized } from './dequantized.ts';
import { encodingKey } from './encode.ts';
import { fakeQuantize } from './fake.ts';

/** How weights enter the graph. Weights of equal keys on one initializer share a tensor. */
export interface Weights {
  key(w: EncodedWeight, name: string): string;
  tensor(w: EncodedWeight, name: string): Tensor;
}

/** The reference graph in float operators. The source model is left as it is; weights stay lazy. */
export function simulate(s: Simulated, weights: Weights = { key: encodingKey, tensor: dequantized }): Model {
  const editor = new Editor(s.model);
  const fp8 = s.values.some((v) => v.type.codes?.kind === 'float' && v.type.codes.name !== 'e2m1');
  const bfloat = s.values.some((v) => v.type.format.name === 'bfloat16');
  editor.raise(fp8 || s.values.some((v) => v.type.scaleType === 'nv') ? 19 : bfloat ? 13 : 11);
  const made = new Map<string, string>();
  for (const w of s.weights) {
    const name = w.site.ports[w.port]?.value ?? '';
    const key = weights.key(w, name);
    const value = made.get(key) ?? editor.initializer(`${name}/dequantized`, weights.tensor(w, name));
    made.set(key, value);
    const use = weightUse(editor, w.site, name);
    use.node.inputs[use.index] = through(editor, use.node, use.via, value, made);
  }
  for (const v of s.values) attachValue(editor, v, (e, x, dtype) => fakeQuantize(e, x, dtype, v), made);
  return editor.finish();
}

/** Clones the plumbing between a weight and its use onto another value; sites that share it share the clone. */
export function through(editor: Editor, near: Node, via: readonly Node[], value: string, made: Map<string, string>): string {
  let at = value;
  const nodes: Node[] = [];
  for (const n of via) {
    if (n.op === 'Identity') continue;
    const key = `${at}>${n.outputs[0]}`;
    const known = made.get(key);
    if (known === undefined) {
      const out = editor.fresh(`${n.outputs[0]}/quantized`);
      nodes.push({ ...n, name: out, inputs: [at], outputs: [out], attrs: new Map(n.attrs) });
      made.set(key, out);
      at = out;
    } else at = known;
  }
  if (nodes.length) editor.head(nodes, near, value);
  return at;
}

/** What identifies the quantization of a value: sites that read it in the same way share one. */
export const valueKey = (v: QuantizedValue, value: string): string =>
  `${value}|${v.type.text}|${v.type.mode}|${v.scale?.join(',') ?? ''}|${v.zero?.join(',') ?? ''}|${v.site.role === 'conv' ? 'conv' : ''}`;

/**
 * Puts a quantization between a value and the site: in front of the nodes that read it, or behind the node of the site that yields it.
 * `build` adds the nodes and returns the name of the result.
 */
export function attachValue(
  editor: Editor,
  v: QuantizedValue,
  build: (e: Emit, x: string, dtype: DType) => string,
  made: Map<string, string>,
): void {
  if (isState(v)) {
    carryFloat(editor, v, build);
    return;
  }
  const users = readers(editor, v.site, v.value);
  const first = users[0];
  if (first) {
    const dtype = editor.view(first).dtype(v.value) ?? 'float32';
    const key = valueKey(v, v.value);
    let to = made.get(key);
    if (to === undefined) {
      const e = new Emit(editor, `${v.value}/${v.port}`);
      to = build(e, v.value, dtype);
      editor.behind(v.value, first, e.nodes);
      made.set(key, to);
    }
    for (const n of users) rewire(n, v.value, to);
    return;
  }
  const producer = v.site.nodes.map((n) => editor.copyOf(n)).find((n) => n?.outputs.includes(v.value));
  if (!producer) throw new Error(`${v.site.id}.${v.port}: "${v.value}" is no value of the site`);
  const raw = editor.fresh(`${v.value}/float`);
  const e = new Emit(editor, `${v.value}/${v.port}`);
  const dtype = editor.view(producer).dtype(v.value) ?? 'float32';
  const result = build(e, raw, dtype);
  const last = e.nodes.at(-1);
  if (last) last.outputs[last.outputs.indexOf(result)] = v.value;
  producer.outputs[producer.outputs.indexOf(v.value)] = raw;
  editor.after(producer, e.nodes);
}
