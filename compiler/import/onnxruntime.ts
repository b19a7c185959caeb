/** Arguments of onnxruntime.quantization as JSON: quantize_static, quantize_dynamic, MatMulNBitsQuantizer; also what Optimum and transformers.js save of them. */
import type { Expr } from '../../grammar/ast.ts';
import { integer } from './args.ts';
import { call, type Fields, keep, name, or, quantize } from './ast.ts';
import { type Data, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { grouped } from './gptq.ts';
import { Reader } from './reader.ts';
import { module } from './select.ts';

/** ONNX operators as roles. */
const operators: Readonly<Record<string, string>> = {
  MatMul: 'linear',
  Gemm: 'linear',
  Attention: 'linear',
  Conv: 'conv',
  ConvTranspose: 'conv',
  Gather: 'embedding',
  EmbedLayerNormalization: 'embedding',
};

interface Type {
  readonly bits: number;
  readonly signed: boolean;
  readonly float: boolean;
}
/** `QInt8`, `QuantType.QUInt16`, `int8`, `QFLOAT8E4M3FN`. */
export function typeOf(word: string | undefined): Type | undefined {
  const w = (word ?? '').replace(/^.*\./, '').toLowerCase();
  if (/float8/.test(w)) return { bits: 8, signed: true, float: true };
  const [, u, bits] = /^q?(u?)int(\d+)$/.exec(w) ?? [];
  return bits === undefined ? undefined : { bits: Number(bits), signed: u === '', float: false };
}
const format = (t: Type, reduced: boolean): Expr => (t.float ? name('fp8') : integer(reduced && t.bits === 8 ? 7 : t.bits, t.signed));

const calibrations: Readonly<Record<string, Expr>> = { entropy: call('entropy'), percentile: call('percentile', [99.99]) };

/** Keys that say nothing about numbers. */
const indifferent: Readonly<Record<string, string>> = {
  model_input: 'given to qc compile',
  model_output: 'given to qc compile',
  calibration_data_reader: 'bind your data with --data calib=DIR',
  data_config: 'bind your data with --data calib=DIR',
  calibration_providers: 'qc runs on the CPU',
  use_external_data_format: 'qc decides by size',
  save_as_external_data: 'qc decides by size',
  quant_format: 'qc emits what its target fuses',
  format: 'qc emits what its target fuses',
  mode: 'qc emits what its target fuses',
  quant_preprocess: 'the graph is brought into one form before',
  accuracy_level: 'target ort computes in float unless activations are quantized',
  prepare_qnn_config: 'settings of one backend',
  reduce_range: 'weights of 7 bits',
};

/** `/model/layers.0/mlp/down_proj/MatMul` → the module that the node was called in. */
export function nodePath(n: string): Expr {
  const parts = n.split('/').filter((s) => s !== '');
  if (parts.length > 1) parts.pop();
  if (parts[0] === 'model' && parts.length > 1) parts.shift();
  return module(`${parts.length > 1 || n.startsWith('/') ? '*.' : ''}${parts.join('.')}`.replace(/^\*\./, ''));
}

/** Which roles are quantized: those of the operators that are named, or all that have one. */
function rolesOf(r: Reader, draft: Draft, ...keys: string[]): Expr[] {
  const given = r.words(...keys);
  if (!given || given.length === 0) return [name('linear'), name('conv'), name('embedding')];
  const found = new Set<string>();
  const others: string[] = [];
  for (const op of given) {
    if (Object.hasOwn(operators, op)) found.add(operators[op] as string);
    else others.push(op);
  }
  if (others.length) draft.lost(keys[0] as string, others, 'inputs of products and weights are quantized; other operators stay float');
  return [...found].map(name);
}

/** Nodes that are left alone. */
function excluded(r: Reader, draft: Draft): void {
  const nodes = r.words('nodes_to_exclude') ?? [];
  if (nodes.length) draft.add(keep(or(...nodes.map(nodePath))), 'Nodes of the source, as the modules that they were called in.');
  const only = r.words('nodes_to_quantize') ?? [];
  if (only.length) draft.lost('nodes_to_quantize', [...only], 'name these layers in the selections instead');
}

/** quantize_static and quantize_dynamic. */
export function staticOrDynamic(r: Reader, draft: Draft, isStatic: boolean): void {
  const extra = r.inner('extra_options');
  const weight = typeOf(r.word('weight_type', 'weights_dtype', 'precision')) ?? { bits: 8, signed: true, float: false };
  const activation = typeOf(r.word('activation_type', 'activations_dtype', 'act_precision')) ?? {
    bits: 8,
    signed: isStatic,
    float: false,
  };
  const reduced = r.flag('reduce_range') ?? false;
  const channels = r.flag('per_channel') ?? false;
  const weightSymmetric = r.flag('weights_symmetric', 'WeightSymmetric') ?? extra?.flag('WeightSymmetric') ?? weight.signed;
  const symmetric = r.flag('activations_symmetric', 'ActivationSymmetric') ?? extra?.flag('ActivationSymmetric') ?? false;
  const roles = rolesOf(r, draft, 'op_types_to_quantize', 'operators_to_quantize', 'op_types');
  const method = (r.word('calibrate_method', 'calibration_method') ?? 'MinMax').replace(/^.*\./, '').toLowerCase();
  const products = roles.filter((x) => x.kind === 'name' && x.name !== 'embedding');
  const tables = roles.filter((x) => x.kind === 'name' && x.name === 'embedding');
  const own = (t: Type, wanted: boolean): Fields => (t.float || wanted === t.signed ? {} : { symmetric: wanted });
  const grain: Fields = { per: channels ? 'channel' : 'tensor' };
  if (products.length) {
    const body = or(...products);
    const notes = reduced ? ['reduce_range: weights of seven bits.'] : [];
    draft.add(quantize(['weight'], body, format(weight, reduced), { ...grain, ...own(weight, weightSymmetric) }), ...notes);
    if (isStatic) {
      draft.data({}, 'The calibration set is not part of the configuration: bind yours with --data calib=DIR.');
      if (method !== 'minmax' && !Object.hasOwn(calibrations, method)) draft.lost('calibrate_method', method, 'minmax is used');
      const scale = Object.hasOwn(calibrations, method) ? calibrations[method] : undefined;
      draft.add(
        quantize(['input'], body, format(activation, false), { mode: 'static', per: 'tensor', ...own(activation, symmetric), scale }),
      );
    } else {
      if (activation.bits !== 8 || activation.signed)
        draft.lost('activation_type', undefined, 'dynamic activations of onnxruntime are uint8');
      draft.add(quantize(['input'], body, name('uint8'), { mode: 'dynamic', per: 'tensor' }));
    }
  }
  if (tables.length) {
    const of = call('optional', [name('embedding')]);
    draft.add(
      quantize(['weight'], of, format(weight, reduced), { per: 'tensor', ...own(weight, weightSymmetric) }),
      'Tables that Gather looks up.',
    );
  }
  excluded(r, draft);
  extra?.rest(draft);
}

/** MatMulNBitsQuantizer (MatMul4BitsQuantizer). */
export function nbits(r: Reader, draft: Draft, law?: string): void {
  const bits = r.int(2, 8, 'bits') ?? 4;
  const group = r.int(-1, 1 << 20, 'block_size', 'group_size') ?? 128;
  const symmetric = r.flag('is_symmetric', 'sym') ?? false;
  const algorithm = r.word('algorithm', 'algo_config', 'weight_only_quant_configs')?.toLowerCase();
  const types = r.words('op_types_to_quantize');
  if (types?.some((t) => t !== 'MatMul' && t !== 'Gather')) draft.lost('op_types_to_quantize', [...types], 'MatMul and Gather have blocks');
  const hqq = law === 'hqq' || algorithm === 'hqq';
  const axes = r.take('quant_axes');
  if (axes !== undefined && axes !== null) draft.lost('quant_axes', axes, 'groups lie along the reduction');
  const scale = hqq ? call('hqq') : undefined;
  const body = name('linear');
  if (scale) draft.add(quantize(['weight'], body, integer(bits, symmetric), { group, scale }));
  else grouped(body, bits, symmetric, group, draft);
  if (algorithm === 'gptq') draft.lost('algorithm', 'GPTQ', 'write `solve gptq on linear` with calibration data');
  else if (algorithm && !['hqq', 'rtn', 'default', 'k_quant'].includes(algorithm))
    draft.lost('algorithm', algorithm, 'round-to-nearest is used');
  else if (algorithm === 'k_quant') draft.lost('algorithm', algorithm, 'its weighted fit of scales; `scale: mse` is the nearest');
  if (types?.includes('Gather'))
    draft.add(quantize(['weight'], call('optional', [name('embedding')]), integer(bits, symmetric), { group }));
  excluded(r, draft);
}

/** Is it MatMulNBits, static or dynamic? */
function args(r: Reader, draft: Draft): void {
  const isStatic = r.flag('is_static');
  if (r.has('block_size') || r.has('is_symmetric')) nbits(r, draft);
  else
    staticOrDynamic(
      r,
      draft,
      isStatic ?? (r.has('calibrate_method') || r.has('calibration_data_reader') || r.has('activation_type') || r.has('quant_format')),
    );
  for (const k of ['qdq_add_pair_to_weight', 'qdq_dedicated_pair']) if (r.peek(k) === false) r.take(k);
  if (isMapping(r.peek('qdq_op_type_per_channel_support_to_axis'))) r.take('qdq_op_type_per_channel_support_to_axis');
  r.rest(draft, indifferent);
}

export function importOnnxruntime(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  const inner = r.inner('quantization');
  const models = r.inner('per_model_config');
  if (inner) args(inner, draft);
  else if (models) {
    // What transformers.js saves: shared flags, and a type for each file.
    const [first, ...others] = models.keys();
    const shared = new Map<string, Data>([
      ['per_channel', r.flag('per_channel') ?? false],
      ['reduce_range', r.flag('reduce_range') ?? false],
    ]);
    const own = first === undefined ? undefined : models.take(first);
    if (isMapping(own)) args(new Reader(new Map([...shared, ...own]), `per_model_config.${first}`), draft);
    for (const o of others) draft.lost(`per_model_config.${o}`, models.take(o), 'import it by itself; a recipe is compiled for one model');
  } else args(r, draft);
  r.rest(draft, {
    optimization: 'fusions; qc quantizes only',
    opset: 'raised where a type needs it',
    one_external_file: 'qc decides by size',
    use_external_data_format: 'qc decides by size',
    optimum_version: 'names a tool',
    transformers_version: 'names a tool',
  });
}
export { indifferent };
