/** The rows of docs/measured/solvers.md: what is compiled, and the bar that its score has to keep. */

export interface Row {
  readonly model: 'llama' | 'llama-outlier' | 'minilm';
  readonly scheme: string;
  /** What is used beside the scheme: each row adds one thing to the one before, so that what it brings is seen. */
  readonly method: string;
  readonly recipe: string;
  readonly bar?: number;
  /** Also scored token by token through the cache. */
  readonly decode?: boolean;
}

const calibrate = 'calibrate data("calib")';
/** Scales fold into v and up first: the law of the norms then sees what is left (accuracy-simulation.md). */
const smooth = (alpha: number): string =>
  `transform smooth on attention.v -> attention.output { alpha: ${alpha} }
  transform smooth on mlp.up -> mlp.down { alpha: ${alpha} }
  transform smooth on norm -> linear { alpha: ${alpha} }`;
const rotate = `transform smooth on attention.v -> attention.output { alpha: 0.6 }
  transform rotate on residual { matrix: hadamard }
  transform rotate on attention.v -> attention.output { per: head }
  transform scale on attention.q <-> attention.k { law: smooth(0.5, 0) }
  transform smooth on mlp.up -> mlp.down { alpha: 0.6 }`;
const online = 'transform rotate on mlp.up -> mlp.down { online: yes }';
const searched = 'mse(40, shrink: 0.6, signed: yes)';
const plain = 'solve gptq on linear { order: hessian }';
const refined = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes }';
const float = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes, target: float }';
const floatAsym = 'solve gptq on linear { order: hessian, cd: 2, target: float }';

type Part = readonly [method: string, ...lines: string[]];
const rows = (model: Row['model'], scheme: string, bar: number, numbers: string, parts: readonly Part[], decode = false): Row[] =>
  parts.map(([method, ...lines]) => ({
    model,
    scheme,
    method,
    bar,
    decode,
    // What a part says of a slot is later, and wins.
    recipe: [...(lines.length ? [calibrate] : []), numbers, ...lines].join('\n  '),
  }));

const w4 = (group: number, law = searched): string => `quantize weight of linear as int4 { group: ${group}, scale: ${law} }`;
const input = (format: string, fields: string): string => `quantize input of linear as ${format} { mode: dynamic, ${fields} }`;
const cache = 'quantize key, value of attention as uint4 { mode: dynamic, per: head }';
const progressive = (group: number): string =>
  `quantize weight of linear as progressive(int8(bound: 119), uint4(group: ${group})) { scale: mse(40, shrink: 0.6) }`;

export const table: readonly Row[] = [
  ...(['llama', 'llama-outlier'] as const).flatMap((model) => {
    const outlier = model === 'llama-outlier';
    const kept = smooth(0.6);
    return [
      ...rows(model, 'W4A16 g32', outlier ? 0.0035 : 0.0033, w4(32), [
        ['rounded'],
        ['rounded, clip search by inputs', 'quantize weight of linear as int4 { group: 32, clip: grid(40, shrink: 0.6) }'],
        ['gptq', plain],
        ['+ descent, rescale', refined],
        ['+ float target', float],
        ['+ smooth', kept, float],
      ]),
      ...rows(model, 'W4A8 g32', 0.0036, `${w4(32)}\n  ${input('int8', 'per: token')}`, [
        ['rounded'],
        ['gptq, float target', float],
        ['+ smooth', kept, float],
        ['+ rotate', rotate, float],
      ]),
      ...[32, 128].flatMap((group) =>
        rows(
          model,
          `QoQ W4A8KV4 g${group}`,
          group === 32 ? 0.008 : 0.0092,
          `${progressive(group)}\n  ${input('int8', 'per: token')}\n  ${cache}`,
          [['rounded'], ['rotate', rotate], ['+ gptq', rotate, plain], ['+ descent, float target', rotate, floatAsym]],
          true,
        ),
      ),
      ...rows(model, 'W4A4 per token', 0.03, `${w4(32)}\n  ${input('int4', 'per: token')}`, [
        ['rounded'],
        ['rotate + gptq', rotate, plain],
        ['+ activations with zero points, 0.95 of the range', rotate, plain, input('uint4', 'per: token, scale: share(0.95)')],
        ['+ online Hadamard before down', rotate, online, plain, input('uint4', 'per: token, scale: share(0.95)')],
      ]),
      ...rows(model, 'W4A4 g32', 0.0205, `${w4(32)}\n  ${input('int4', 'group: 32')}`, [
        ['rounded'],
        ['smooth + gptq', kept, plain],
        ['rotate + gptq', rotate, plain],
        ['+ descent, rescale', rotate, refined],
        ['+ activations with zero points', rotate, refined, input('uint4', 'group: 32')],
      ]),
      ...[32, 128].flatMap((group) =>
        rows(
          model,
          `FlexQ W6A6 g${group}`,
          group === 32 ? 0.0014 : 0.0024,
          `quantize weight of linear as int6 { group: ${group} }\n  ${input('int6', `group: ${group}`)}`,
          [['rounded'], ['smooth + gptq', kept, plain], ['rotate + gptq', rotate, plain]],
        ),
      ),
      ...rows(model, 'FlexQ W6A8 g32', 0.0004, `quantize weight of linear as int6 { group: 32 }\n  ${input('int8', 'group: 32')}`, [
        ['rounded'],
        ['smooth + gptq', kept, plain],
        ['rotate + gptq', rotate, plain],
      ]),
    ];
  }),
  ...rows('minilm', 'W4A16 g32', 0.9875, w4(32), [
    ['rounded'],
    ['gptq', plain],
    ['+ descent, rescale', refined],
    ['+ float target', float],
  ]),
];
