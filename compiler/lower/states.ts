/**
 * States that are codes on the outside too: where a recipe quantizes the state of a recurrence, or the input of a convolution over time, the states that
 * go from step to step are int8 inputs and outputs. Their scales are constants of the model. A byte is the code modulo 256, counted from its zero point, so
 * a first step begins with zero bytes wherever the range of codes lies.
 */
import { fail } from '../../grammar/diagnostics.ts';
import type { Model, Node, ValueInfo } from '../graph/types.ts';
import { createView, typeOf } from '../match/view.ts';
import type { QuantizedValue, Simulated } from '../simulated.ts';
import { Editor } from './editor.ts';
import { Emit } from './emit.ts';
import { numbers } from './make.ts';
import { declareStates, hasSteps } from './native/ssm/declare.ts';
import { lowest } from './native/ssm/tables.ts';
import { isState } from './state.ts';

/** A state: what comes in, what goes out, and the scales that broadcast against it. */
export interface HeldState {
  readonly past: string;
  readonly present: string;
  readonly scale: Float32Array;
  readonly shape: readonly number[];
  /** The lowest code under each scale, counted from its zero point. */
  readonly low: Float32Array;
}

/** The states that the recipe quantizes. Errors: `io-cache` (one that has no form on the outside). */
export function statesOf(s: Simulated): readonly HeldState[] {
  const v = createView(s.model);
  return s.values.flatMap((q): HeldState[] => {
    const ends = isState(q) ? recurrent(q, v) : joined(q, v);
    if (!ends) return [];
    const { codes, mode } = q.type;
    if (codes?.kind !== 'int' || codes.bits > 8 || mode !== 'static' || !q.scale)
      return fail(
        'io-cache',
        `the ${q.port} of ${q.site.path} cannot be a quantized input and output: ${q.type.text} is not static integers of at most 8 bits`,
        'compile without --io quantized, or quantize it as int8 { mode: static }',
      );
    const one = q.scale.length === 1;
    return [{ ...ends, scale: q.scale, shape: one ? [] : (q.shape ?? [q.scale.length, 1]), low: lowest(q) }];
  });
}

type Ends = Pick<HeldState, 'past' | 'present'>;

function recurrent(q: QuantizedValue, v: ReturnType<typeof createView>): Ends | undefined {
  const past = q.site.facts['past_state'];
  return typeof past === 'string' && v.isInput(past) && v.isOutput(q.value) ? { past, present: q.value } : undefined;
}

/** The state of a depthwise convolution: an input that is joined with what is new, and the end of both, which is an output. */
function joined(q: QuantizedValue, v: ReturnType<typeof createView>): Ends | undefined {
  const concat = q.site.facts['depthwise'] === true ? v.producer(q.value) : undefined;
  if (concat?.op !== 'Concat' || concat.inputs.length !== 2) return undefined;
  const past = v.origin(concat.inputs[0]!);
  const tail = v.consumers(q.value).find((n) => n.op === 'Slice' && v.isOutput(n.outputs[0]!));
  const held = v.shape(past)?.at(-1);
  const begins = tail && v.numbers(tail.inputs[1] ?? '')?.[0];
  return tail && v.isInput(past) && typeof held === 'number' && begins === -held ? { past, present: tail.outputs[0]! } : undefined;
}

/** The lowered model with these states as codes: operators that hold codes take them, elsewhere they are converted at the model's edge. */
export function withQuantizedStates(model: Model, states: readonly HeldState[]): Model {
  if (states.length === 0) return model;
  const e = new Editor(model);
  const { graph } = e.model;
  const first = graph.nodes[0]!;
  const v = e.view(first);
  for (const s of states) {
    const readers = v.consumers(s.past);
    const maker = v.producer(s.present);
    const [reader] = readers;
    const whole = reader !== undefined && reader === maker && readers.length === 1 && v.consumers(s.present).length === 0;
    if (whole && holdsCodes(e.model, reader, s)) reader.op = `${reader.op}Int8`;
    else convert(e, s, readers, maker);
  }
  const int8 = (list: readonly ValueInfo[], pick: (s: HeldState) => string): ValueInfo[] =>
    list.map((i) => (states.some((s) => pick(s) === i.name) ? { ...i, dtype: 'int8' } : i));
  graph.inputs = int8(graph.inputs, (s) => s.past);
  graph.outputs = int8(graph.outputs, (s) => s.present);
  for (const s of states) graph.values.delete(s.present);
  return declareStates(e.finish());
}

/** Does the operator itself round this state? */
function holdsCodes(model: Model, n: Node, s: HeldState): boolean {
  const scale = { 'qc.v1::SelectiveScan': 8, 'qc.v1::CausalConv1d': 5 }[typeOf(n)];
  return scale !== undefined && n.outputs[1] === s.present && hasSteps(model, n.inputs[scale]!);
}

function convert(e: Editor, s: HeldState, readers: readonly Node[], maker: Node | undefined): void {
  if (!maker) return;
  const outer = new Emit(e, `${s.past}/codes`);
  const scale = outer.constant('scale', numbers('float32', s.shape, s.scale));
  const shifted = s.low.some((x) => x !== -128);
  const held = numbers('int32', s.shape, s.low);
  const codes = () => {
    const low = outer.constant('low', held);
    const above = outer.op('Mod', [outer.op('Sub', [outer.cast(s.past, 'int32'), low]), outer.scalar(256, 'int32')]);
    return outer.cast(outer.op('Add', [low, above]), 'float32');
  };
  const float = outer.op('Mul', [shifted ? codes() : outer.cast(s.past, 'float32'), scale]);
  for (const n of readers) n.inputs = n.inputs.map((i) => (i === s.past ? float : i));
  e.behind(s.past, readers[0] ?? maker, outer.nodes);
  const end = new Emit(e, `${s.present}/codes`);
  const raw = e.fresh(`${s.present}/float`);
  const users = e.view(maker).consumers(s.present);
  maker.outputs = maker.outputs.map((o) => (o === s.present ? raw : o));
  for (const n of users) n.inputs = n.inputs.map((i) => (i === s.present ? raw : i));
  const steps = end.op('Round', [end.op('Div', [raw, scale])]);
  if (shifted) {
    const low = end.constant('low', numbers('float32', s.shape, s.low));
    const q = end.op('Min', [end.op('Max', [steps, low]), end.op('Add', [low, end.scalar(255)])]);
    const wrapped = end.op('Mod', [end.op('Add', [end.cast(q, 'int32'), end.scalar(128, 'int32')]), end.scalar(256, 'int32')]);
    end.op('Cast', [end.op('Sub', [wrapped, end.scalar(128, 'int32')])], { to: 3 }, s.present);
  } else end.op('Cast', [end.op('Clip', [steps, end.scalar(-128), end.scalar(127)])], { to: 3 }, s.present);
  e.after(maker, end.nodes);
}
