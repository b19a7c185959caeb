/** The norms of qc.v1: RmsNorm and LayerNorm, with a residual added in front, with codes as their result. */
import type { Func } from '../../graph/types.ts';
import { emitted } from './emits.ts';
import { Body } from './function.ts';

/** A variant of a norm; all of them are operators of their own, since a body cannot depend on what its inputs are. */
export interface NormOp {
  /** With a mean and a bias. */
  readonly layer: boolean;
  /** A residual is added first, the sum is the last output. */
  readonly add: boolean;
  /** Floats, codes with a scale a row, codes under a step that is known, or such codes of channels that an input lists. */
  readonly emits: 'floats' | 'rows' | 'steps' | 'picked';
}
const suffix = { floats: '', rows: 'Quantize', steps: 'QuantizeStatic', picked: 'QuantizeStaticSplit' } as const;
const forms = { '': 'floats', Quantize: 'rows', QuantizeStatic: 'steps', QuantizeStaticSplit: 'picked' } as const;
export const normName = (op: NormOp): string => `${op.add ? 'Add' : ''}${op.layer ? 'Layer' : 'Rms'}Norm${suffix[op.emits]}`;

/** The variant that an operator's name says. */
export function normOp(name: string): NormOp | undefined {
  const m = /^(Add)?(Rms|Layer)Norm(Quantize(?:Static(?:Split)?)?)?$/.exec(name);
  if (!m) return undefined;
  return {
    layer: m[2] === 'Layer',
    add: m[1] !== undefined,
    emits: forms[(m[3] ?? '') as keyof typeof forms],
  };
}

/** The body of a norm. */
export function normBody(name: string, opset: number): Func {
  const op = normOp(name)!;
  const b = new Body(opset);
  const x = op.add ? b.op('Add', ['x', 'residual'], {}, 'sum') : 'x';
  const centred = op.layer ? b.op('Sub', [x, b.reduce('ReduceMean', x)]) : x;
  const variance = b.op('Add', [b.reduce('ReduceMean', b.op('Mul', [centred, centred])), b.floatAttribute('eps')]);
  const scaled = [b.op('Div', [centred, b.op('Sqrt', [variance])]), 'gain'];
  const out = op.emits === 'floats' ? 'y' : undefined;
  const y = op.layer ? b.op('Add', [b.op('Mul', scaled), 'bias'], {}, out) : b.op('Mul', scaled, {}, out);
  const { results, attrs } = emitted(b, y, op.emits);
  const behindGain = { floats: [], rows: [], steps: ['step'], picked: ['step', 'channels'] }[op.emits];
  const inputs = ['x', ...(op.add ? ['residual'] : []), 'gain', ...(op.layer ? ['bias'] : []), ...behindGain];
  const formula = op.layer ? '(x − mean) / √(mean((x − mean)²) + eps) · gain + bias' : 'x / √(mean(x²) + eps) · gain';
  const behind = {
    floats: '',
    rows: ', as codes with a scale a row',
    steps: ', as codes under a step',
    picked: ', as codes under a step, of the channels in `channels`',
  }[op.emits];
  const doc = `y = ${formula}${op.add ? ' of x + residual' : ''}${behind}`;
  return b.function(name, inputs, [...results, ...(op.add ? ['sum'] : [])], ['eps', ...attrs], doc);
}
