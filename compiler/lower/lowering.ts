/** What lowering works on: one site at a time, with its weight, its input and where they enter. */
import type { DType, Node } from '../graph/types.ts';
import { encodingKey } from '../simulate/encode.ts';
import { valueKey } from '../simulate/simulate.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { Editor } from './editor.ts';
import { readers, type WeightUse, weightUse } from './wiring.ts';

/** A site whose weight is encoded. */
export interface Work {
  readonly site: Site;
  readonly weight: EncodedWeight;
  /** The weight's initializer. */
  readonly name: string;
  readonly use: WeightUse;
  /** The quantized value that the computing node reads beside the weight. */
  readonly input?: QuantizedValue;
  /** Float type of the site's activations. */
  readonly float: DType;
  /** Is the node's output, after a Relu or Clip, read by static quantizations of bytes only? */
  readonly codesOnly: boolean;
  /** Sites that hold the same weight in the same encoding, this one included. */
  readonly holders: number;
  /** Quantized sites that read the input in the same way, this one included. */
  readonly readers: number;
}

/** How a site is expressed. The first rule that applies is taken. */
export interface Rule {
  readonly name: string;
  applies(w: Work): boolean;
  /** The operator set that the rule needs. */
  opset(w: Work): number;
  /** Is the quantization of the site's input part of what the rule emits? Else it is there before, and the node reads its result. */
  takesInput?(w: Work): boolean;
  emit(l: Lowering, w: Work): void;
}

/** The state of one lowering: the edits, what is shared, what each site became. */
export class Lowering {
  readonly editor: Editor;
  /** Results by what they are: sites that ask for the same get the same. */
  readonly made = new Map<string, string>();
  readonly emitted = new Map<string, { ops: Set<string>; initializers: Set<string> }>();

  constructor(s: Simulated) {
    this.editor = new Editor(s.model);
  }

  /** Notes what a site became. */
  note(site: Site, nodes: readonly Node[], initializers: readonly string[] = []): void {
    const known = this.emitted.get(site.id) ?? { ops: new Set(), initializers: new Set() };
    for (const n of nodes) known.ops.add(n.op);
    for (const i of initializers) known.initializers.add(i);
    this.emitted.set(site.id, known);
  }

  /** An initializer that several sites may hold, noted for each. */
  hold(site: Site, key: string, make: () => string): string {
    const name = this.made.get(key) ?? make();
    this.made.set(key, name);
    this.note(site, [], [name]);
    return name;
  }
}

/** The encoded sites of a simulated model on an editor's copy. */
export function works(l: Lowering, s: Simulated): Work[] {
  const keys = s.weights.map((w) => encodingKey(w, w.site.ports[w.port]?.value ?? ''));
  const inputs = s.values.map((v) => valueKey(v, v.value));
  const count = (all: readonly string[], key: string) => all.filter((k) => k === key).length;
  return s.weights.map((weight) => {
    const { site } = weight;
    const name = site.ports[weight.port]?.value ?? '';
    const use = weightUse(l.editor, site, name);
    const input = s.values.find((v) => v.site.id === site.id && use.node.inputs.includes(v.value));
    return {
      site,
      weight,
      name,
      use,
      ...(input ? { input } : {}),
      float: weight.source.dtype,
      codesOnly: codesOnly(l.editor, s, use.node),
      holders: count(keys, encodingKey(weight, name)),
      readers: input ? count(inputs, valueKey(input, input.value)) : 0,
    };
  });
}

function codesOnly(editor: Editor, s: Simulated, node: Node): boolean {
  const view = editor.view(node);
  let value = node.outputs[0] ?? '';
  const [next, ...others] = view.consumers(value);
  if (next && others.length === 0 && (next.op === 'Relu' || next.op === 'Clip') && !view.isOutput(value)) value = next.outputs[0] ?? '';
  const bytes = (v: QuantizedValue) => v.type.mode === 'static' && v.type.codes?.kind === 'int' && v.type.codes.bits <= 8;
  const reading = new Set(s.values.filter((v) => v.value === value && bytes(v)).flatMap((v) => readers(editor, v.site, value)));
  const users = view.consumers(value);
  return users.length > 0 && !view.isOutput(value) && users.every((n) => reading.has(n));
}
