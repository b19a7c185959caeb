/** What rows of schemes are made of. */

export interface Row {
  readonly models: readonly ('llama' | 'llama-outlier' | 'minilm')[];
  readonly scheme: string;
  /** What is used beside the scheme. */
  readonly transforms: string;
  /** Its statements, or the file of recipes/systems that says them with a contract. */
  readonly recipe?: string;
  /** kl at most, or mean cosine at least. */
  readonly bar?: number | Readonly<Record<string, number>>;
  readonly system?: string;
  /** Also scored token by token through the cache. */
  readonly decode?: true;
}

export const both = ['llama', 'llama-outlier'] as const;
export const outliers = `transform smooth on attention.v -> attention.output
  transform smooth on mlp.up -> mlp.down`;
export const rotations = `transform rotate on residual { matrix: hadamard }
  transform rotate on attention.v -> attention.output { per: head }`;
export const learnt = `transform rotate on residual { init: hadamard, learn: cayley(steps: 80), objective: range_pnorm(10), holdout: 0.25 }
  transform rotate on attention.v -> attention.output { per: head, learn: cayley(steps: 80) }`;
export const rotateStream = 'transform rotate on residual { matrix: hadamard }';
export const online = 'transform rotate on mlp.up -> mlp.down { online: yes }';
export const awq = `transform scale on attention.v -> attention.output { law: awq(20) }
  transform scale on mlp.up -> mlp.down { law: awq(20) }
  transform scale on norm -> linear { law: awq(20) }`;
export const searched = 'mse(40, shrink: 0.6, signed: yes)';
export const w4 = `quantize weight of linear as int4 { group: 32, scale: ${searched} }`;
export const a4 = `${w4}
  quantize input of linear as int4 { mode: dynamic, group: 32, symmetric: no }`;
export const perToken = (weights: string): string => `${weights}
  quantize input of linear as uint4 { mode: dynamic, per: token, scale: share(0.95) }`;
export const w6 = (group: number, bits: number, fields = ''): string => `quantize weight of linear as int6 { group: ${group} }
  quantize input of linear as int${bits} { mode: dynamic, group: ${group}${fields} }`;
export const solve = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes }';
export const solveFloat = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes, target: float }';
export const migrated = `transform migrate on norm -> linear { margin: 1.1 }
  quantize weight of linear as int8 { per: channel }
  quantize input of migrated as int8 { mode: static, per: channel }
  quantize input of linear and not migrated as int8 { mode: static }`;
export const lines = (...parts: readonly string[]): string => parts.join('\n  ');
