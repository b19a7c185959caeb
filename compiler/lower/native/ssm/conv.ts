/** A depthwise convolution over time behind its state, with its SiLU, as one operator. */
import type { Node } from '../../../graph/types.ts';
import { attrInt, attrInts, attrString, type View } from '../../../match/view.ts';
import { encodeWeight } from '../../../simulate/encode.ts';
import type { EncodedWeight, QuantizedValue } from '../../../simulated.ts';
import type { Site } from '../../../sites.ts';
import type { Editor } from '../../editor.ts';
import { Emit } from '../../emit.ts';
import { float32s } from '../../make.ts';
import { DOMAIN } from '../function.ts';
import { made, only, permuted } from '../walk.ts';
import { withoutSteps } from './declare.ts';
import { isByte, siluOf } from './step.ts';
import { portSteps, transposed } from './tables.ts';

interface Parts {
  readonly conv: Node;
  /** [batch, time, channels]. */
  readonly x: string;
  readonly past: string;
  /** Both: [batch, channels, time]. */
  readonly joined: string;
  readonly channels: number;
  readonly taps: number;
  readonly silu: boolean;
  readonly y: string;
  readonly after: string;
  readonly inside: readonly string[];
}

/** The last K − 1 of what was joined. */
function isTail(v: View, n: Node, taps: number): boolean {
  const [start, end, axis, step] = [1, 2, 3, 4].map((i) => (n.inputs[i] === undefined ? undefined : v.numbers(n.inputs[i]!)?.join()));
  return start === `${1 - taps}` && Number(end) >= 2 ** 31 - 1 && (axis === '2' || axis === '-1') && (step === undefined || step === '1');
}

function parts(v: View, conv: Node): Parts | undefined {
  const w = v.constant(conv.inputs[1] ?? '');
  const [channels, one, taps] = w?.tensor.shape ?? [];
  if (!w || w.perm || w.tensor.dtype !== 'float32' || one !== 1 || taps === undefined || taps < 2 || channels === undefined)
    return undefined;
  const all = (name: string, value: number) => attrInts(conv, name)?.every((n) => n === value) ?? true;
  const plain = all('pads', 0) && all('strides', 1) && all('dilations', 1) && ['', 'NOTSET'].includes(attrString(conv, 'auto_pad') ?? '');
  if (!plain || attrInt(conv, 'group', 1) !== channels) return undefined;
  const joined = conv.inputs[0]!;
  const concat = made(v, joined, 'Concat');
  const x = concat && permuted(v, concat.inputs[1], [0, 2, 1]);
  const past = concat?.inputs[0];
  if (!concat || x === undefined || past === undefined || concat.inputs.length !== 2 || ![2, -1].includes(attrInt(concat, 'axis', 0)))
    return undefined;
  const held = v.shape(past);
  if (held?.length !== 3 || held[1] !== channels || held[2] !== taps - 1 || v.isOutput(joined)) return undefined;
  const users = v.consumers(joined).filter((n) => n !== conv && n.op !== 'Shape');
  const tail = users.length === 1 && users[0]!.op === 'Slice' && isTail(v, users[0]!, taps) ? users[0]! : undefined;
  if (!tail) return undefined;
  const raw = conv.outputs[0]!;
  const inside = [raw];
  const next = v.consumers(raw);
  const gate = next.find((n) => n.op === 'Mul');
  const silu = gate !== undefined && next.length === 2 && siluOf(v, gate.outputs[0]!) === raw && !v.isOutput(raw);
  let y = raw;
  if (silu) {
    y = gate.outputs[0]!;
    inside.push(y);
  }
  const turned = only(v, y);
  if (!turned || permuted(v, turned.outputs[0], [0, 2, 1]) !== y) return undefined;
  return { conv, x, past, joined, channels, taps, silu, y: turned.outputs[0]!, after: tail.outputs[0]!, inside };
}

/** What a convolution became. */
export interface FusedConv {
  readonly op: string;
  readonly taken: readonly QuantizedValue[];
  readonly initializers: readonly string[];
}

/** Replaces a convolution by one operator; undefined where it stays as it is. `weight`: how it is encoded, where it is; `bounded` as for a scan. */
export function fuseConv(
  e: Editor,
  site: Site,
  values: readonly QuantizedValue[],
  weight: EncodedWeight | undefined,
  bounded: boolean,
): FusedConv | undefined {
  const conv = site.nodes.map((n) => e.copyOf(n)).find((n) => n?.op === 'Conv');
  const v = conv && e.view(conv);
  const p = v && parts(v, conv);
  if (!p) return undefined;
  const own = values.filter((q) => q.site.id === site.id);
  const input = own.find((q) => q.value === p.joined);
  if (own.length > (input ? 1 : 0) || (input && !isByte(input))) return undefined;
  const gone = new Set(p.inside);
  if (values.some((q) => q !== input && gone.has(q.value))) return undefined;
  const codes = weight?.type.codes;
  const plain = codes?.kind === 'int' && codes.signed && codes.bits > 4 && codes.bits <= 8 && weight?.type.symmetric === true;
  if (weight && (!plain || weight.type.scaleType !== 'model' || !['tensor', 'channel'].includes(weight.type.grain.per))) return undefined;

  const em = new Emit(e, `${p.y}/conv`);
  const { channels, taps } = p;
  const held = v.constant(p.conv.inputs[1]!)!;
  const enc = weight ? encodeWeight(weight, held.name, 'source', { signed: true }) : undefined;
  const [w, steps] = enc
    ? [
        em.constant('weight', transposed({ ...enc.codes, shape: [channels, taps] }, channels, taps, enc.key)),
        em.constant('weight_scale', { ...enc.scales, shape: enc.scales.shape.length === 0 ? [1] : enc.scales.shape }),
      ]
    : [em.constant('weight', transposed(held.tensor, channels, taps, held.name)), withoutSteps(e, 1, false)];
  const bias = p.conv.inputs[2] || e.shared(`qc/zeros/${channels}`, () => float32s(new Float32Array(channels), [channels]));
  const shaped = input && { ...input, shape: input.shape ?? [input.scale!.length, 1] };
  const scale = shaped ? em.constant('x_scale', portSteps(shaped, [channels, 1], bounded)) : withoutSteps(e, 1, bounded);
  const name = 'CausalConv1d';
  em.op(`${DOMAIN}.${name}`, [p.x, p.past, w, bias, steps, scale], { channels, silu: p.silu ? 1 : 0 }, p.y);
  em.nodes.at(-1)!.outputs.push(p.after);
  e.replace(p.conv, em.nodes);
  for (const value of [p.y, p.after]) {
    const old = v.producer(value);
    if (old) e.replace(old, []);
  }
  return {
    op: name,
    taken: input ? [input] : [],
    initializers: em.initializers,
  };
}
