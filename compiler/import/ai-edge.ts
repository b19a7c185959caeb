/** ai-edge-quantizer recipes: a list of rules, the later ones win. https://github.com/google-ai-edge/ai-edge-quantizer */
import type { Expr } from '../../grammar/ast.ts';
import { integer } from './args.ts';
import { and, call, type Fields, keep, name, not, or, quantize, regex, transform } from './ast.ts';
import { type Data, isList } from './data.ts';
import type { Draft } from './draft.ts';
import { Reader } from './reader.ts';
import { pythonRegex } from './select.ts';

/** TFLite operators as roles; undefined: qc has no weights or inputs of its own there. */
const operations: Readonly<Record<string, readonly string[]>> = {
  '*': ['linear', 'conv', 'embedding'],
  FULLY_CONNECTED: ['linear'],
  CONV_2D: ['conv'],
  DEPTHWISE_CONV_2D: ['conv'],
  CONV_2D_TRANSPOSE: ['conv'],
  EMBEDDING_LOOKUP: ['embedding'],
  SOFTMAX: ['softmax'],
};
const plainAlgorithms = new Set(['min_max_uniform_quantize', 'naive_min_max_quantize', 'mse', 'octav']);

interface Tensor {
  readonly format: Expr;
  readonly grain: Fields;
  readonly scale: Expr | undefined;
  readonly bits: number;
  readonly symmetric: boolean;
}

function tensor(r: Reader, algorithm: string, draft: Draft): Tensor | undefined {
  const bits = r.int(2, 16, 'num_bits') ?? 8;
  const symmetric = r.flag('symmetric') ?? true;
  const dtype = r.word('dtype') ?? 'INT';
  const granularity = r.word('granularity') ?? ((r.flag('channel_wise') ?? false) ? 'CHANNELWISE' : 'TENSORWISE');
  r.take('channel_wise');
  const block = r.int(0, 1 << 20, 'block_size') ?? 0;
  const group = /^BLOCKWISE(?:_(\d+))?$/.exec(granularity);
  r.rest(draft);
  if (dtype === 'FLOAT') {
    if (bits === 16) return { format: name('float16'), grain: {}, scale: undefined, bits, symmetric };
    draft.lost(r.path, undefined, `no float type of ${bits} bits`);
    return undefined;
  }
  const size = Number(group?.[1] ?? block);
  const grain: Fields = group && size > 1 ? { group: size } : { per: granularity === 'CHANNELWISE' ? 'channel' : 'tensor' };
  const scale = algorithm === 'mse' || algorithm === 'octav' ? call('mse') : undefined;
  return { format: integer(bits, symmetric), grain, scale, bits, symmetric };
}

/** One rule, before it is known what later ones take from it. */
interface Rule {
  readonly at: string;
  readonly algorithm: string;
  readonly roles: readonly string[];
  /** Narrows it to scopes; undefined: everywhere. */
  readonly re?: string;
  readonly config?: Reader;
}

function readRule(d: Data, at: string, draft: Draft): Rule | undefined {
  const r = new Reader(d, at);
  const pattern = r.word('regex', 'op_scope_regex') ?? '.*';
  const wanted = r.words('operation', 'operations') ?? ['*'];
  const algorithm = (r.word('algorithm_key') ?? 'min_max_uniform_quantize').toLowerCase();
  const config = r.inner('op_config');
  const all = pattern === '.*' || pattern === '';
  const re = all ? undefined : pythonRegex(pattern, 'search');
  if (!all && re === undefined) draft.lost(r.at('regex'), pattern, 'no regular expression of JavaScript says this');
  const roles = wanted.flatMap((w) => {
    const known = Object.hasOwn(operations, w) ? operations[w] : undefined;
    if (!known) draft.lost(r.at('operation'), w, 'qc quantizes no such operator');
    return known ?? [];
  });
  r.rest(draft);
  if (roles.length === 0 || (!all && re === undefined)) return undefined;
  return { at, algorithm, roles: [...new Set(roles)], ...(re === undefined ? {} : { re }), ...(config ? { config } : {}) };
}

const turns = (r: Rule): boolean => r.algorithm.includes('hadamard');
/** What tells a kernel how to go about it. */
const silent = ['explicit_dequantize', 'skip_checks'];

function rotation(r: Rule, draft: Draft): void {
  const why = 'The source turns the input of each operator; here the residual stream turns as a whole, and folds into the weights.';
  draft.add(transform('rotate', name('residual'), { matrix: 'hadamard' }), why);
  r.config?.take('weight_tensor_config', 'compute_precision', 'min_weight_elements', ...silent);
  r.config?.rest(draft);
}

function numbers(
  r: Rule,
  scoped: (roles: readonly string[]) => Expr,
  roles: readonly string[],
  notes: readonly string[],
  draft: Draft,
): void {
  const { config, algorithm } = r;
  if (!plainAlgorithms.has(algorithm)) draft.lost(`${r.at}.algorithm_key`, algorithm, 'round-to-nearest with minmax scales is used');
  const weights = config?.inner('weight_tensor_config');
  const activations = config?.inner('activation_tensor_config');
  const weight = weights && tensor(weights, algorithm, draft);
  const activation = activations && tensor(activations, algorithm, draft);
  const integers = (config?.word('compute_precision') ?? 'INTEGER') === 'INTEGER';
  config?.take(...silent);
  if (config?.peek('min_weight_elements') === 0) config.take('min_weight_elements');
  config?.rest(draft);
  if (!weight) return;
  draft.add(quantize(['weight'], scoped(roles), weight.format, { ...weight.grain, scale: weight.scale }), ...notes);
  const products = roles.filter((x) => x === 'linear' || x === 'conv');
  if (products.length === 0 || !integers) return;
  if (activation) {
    draft.data();
    draft.add(quantize(['input'], scoped(products), activation.format, { mode: 'static', per: 'tensor' }));
    return;
  }
  const dynamic = 'Dynamic range: integers inside the operator, scales at run time.';
  if (products.includes('linear'))
    draft.add(quantize(['input'], scoped(['linear']), name('int8'), { mode: 'dynamic', per: 'token' }), dynamic);
  if (products.includes('conv')) draft.add(quantize(['input'], scoped(['conv']), name('uint8'), { mode: 'dynamic', per: 'tensor' }));
}

export function importAiEdge(data: Data, draft: Draft): void {
  const rules = (isList(data) ? data : []).map((d, i) => readRule(d, `[${i}]`, draft)).filter((r): r is Rule => r !== undefined);
  rules.forEach((r, i) => {
    draft.part();
    if (turns(r)) {
      rotation(r, draft);
      return;
    }
    const later = rules.slice(i + 1).filter((x) => !turns(x));
    const roles = r.roles.filter((role) => !later.some((x) => x.roles.includes(role) && (x.re === undefined || x.re === r.re)));
    if (roles.length === 0) {
      draft.lost(r.at, undefined, 'the rules after it decide everything');
      return;
    }
    const scoped = (of: readonly string[]): Expr => {
      const inside = r.re === undefined ? or(...of.map(name)) : and(or(...of.map(name)), regex(r.re));
      const taken = later.filter((x) => x.re !== undefined && x.roles.some((role) => of.includes(role)));
      return taken.length ? and(inside, not(or(...taken.map((x) => regex(x.re as string))))) : inside;
    };
    const notes =
      r.re === undefined ? [] : ['The source matches scopes of TFLite tensors; paths here are those of modules: see `qc inspect`.'];
    if (r.algorithm === 'no_quantize') draft.add(keep(call('optional', [scoped(roles)])), ...notes);
    else if (r.algorithm === 'float_casting') draft.add(keep(call('optional', [scoped(roles)]), 'float16'), ...notes);
    else numbers(r, scoped, roles, notes, draft);
  });
}
