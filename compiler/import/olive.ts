/** Olive workflows: the passes that quantize. https://github.com/microsoft/Olive */
import { call, edge, keep, name, solve, transform } from './ast.ts';
import { importAwq } from './awq.ts';
import { type Data, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { grouped } from './gptq.ts';
import { order } from './llm-compressor.ts';
import { indifferent, nbits, staticOrDynamic } from './onnxruntime.ts';
import { Reader } from './reader.ts';
import { module, without } from './select.ts';

type Pass = (r: Reader, draft: Draft) => void;

/** Linears that an earlier pass of the workflow has quantized: the later weight-only passes of Olive leave those alone. */
const quantized = new WeakMap<Draft, true>();

/** `lm_head`, `embeds`, `overrides` and `modules_to_not_convert` of the weight-only passes of Olive. */
function weightOnly(r: Reader, draft: Draft, after?: (body: ReturnType<typeof name>) => void): void {
  const bits = r.int(2, 8, 'bits') ?? 4;
  const sym = r.flag('sym') ?? true;
  const group = r.int(-1, 1 << 20, 'group_size') ?? 128;
  const head = r.flag('lm_head') ?? false;
  const tables = r.flag('embeds') ?? false;
  const overrides = r.inner('overrides');
  const skipped = (r.words('modules_to_not_convert') ?? []).map(module);
  const before = quantized.has(draft);
  quantized.set(draft, true);
  const all = draft.let('body', without(name('linear'), [...(head ? [] : [module('lm_head')]), ...skipped]));
  const body = before ? module('lm_head') : all;
  if (!before) grouped(body, bits, sym, group, draft);
  else if (head) grouped(body, bits, sym, group, draft, 'An earlier pass has quantized the other layers.');
  if (tables) grouped(name('embedding'), bits, sym, group, draft);
  for (const key of overrides?.keys() ?? []) {
    const o = overrides?.inner(key);
    if (!o) continue;
    grouped(module(key), o.int(2, 8, 'bits') ?? bits, o.flag('sym', 'symmetric') ?? sym, o.int(-1, 1 << 20, 'group_size') ?? group, draft);
    o.rest(draft);
  }
  overrides?.rest(draft);
  if (!before || head) after?.(body as ReturnType<typeof name>);
}

const gptq: Pass = (r, draft) => {
  draft.data();
  const args = {
    damp: r.number('damp_percent', 'percdamp'),
    ...order(r.flag('desc_act') ?? false, r.at('desc_act'), draft),
    static_groups: r.flag('static_groups'),
  };
  const sequential = r.flag('true_sequential');
  weightOnly(r, draft, (body) => draft.add(solve('gptq', body, { ...args, within: sequential ? 'layer' : undefined })));
};

const staticPass: Pass = (r, draft) => staticOrDynamic(r, draft, true);
const dynamicPass: Pass = (r, draft) => staticOrDynamic(r, draft, false);
const eitherPass: Pass = (r, draft) => staticOrDynamic(r, draft, (r.word('quant_mode', 'approach') ?? 'static') !== 'dynamic');

/** Intel Neural Compressor: as ONNX Runtime's, with recipes of its own. */
const inc =
  (pass: Pass): Pass =>
  (r, draft) => {
    const recipes = r.inner('recipes');
    const smooth = recipes?.flag('smooth_quant') ?? false;
    const args = recipes?.inner('smooth_quant_args');
    if (smooth) {
      draft.data();
      draft.add(transform('smooth', edge(name('norm'), name('linear')), { alpha: args?.number('alpha') ?? 0.5 }));
    }
    args?.rest(draft);
    recipes?.rest(draft);
    pass(r, draft);
  };

/** Passes by type, in lower case. */
const passes: Readonly<Record<string, Pass>> = {
  onnxquantization: eitherPass,
  onnxstaticquantization: staticPass,
  onnxdynamicquantization: dynamicPass,
  vitisaiquantization: staticPass,
  incquantization: inc(eitherPass),
  incstaticquantization: inc(staticPass),
  incdynamicquantization: inc(dynamicPass),
  onnxmatmul4quantizer: (r, draft) => nbits(r, draft),
  onnxblockwisertnquantization: (r, draft) => nbits(r, draft),
  onnxhqqquantization: (r, draft) => nbits(r, draft, 'hqq'),
  onnxkquantquantization: (r, draft) => nbits(r, draft),
  gptqquantizer: gptq,
  gptq,
  rtn: (r, draft) => weightOnly(r, draft),
  autoawqquantizer: (r, draft) => importAwq(new Map(r.keys().map((k) => [k, r.take(k) as Data])), draft),
  nvmodeloptquantization(r, draft) {
    const precision = r.word('precision') ?? 'int4';
    const algorithm = (r.word('algorithm') ?? 'AWQ').toUpperCase();
    if (/awq/i.test(algorithm)) {
      draft.data();
      draft.add(transform('scale', edge(name('norm'), name('linear')), { law: call('awq') }));
    } else if (algorithm !== 'RTN') draft.lost(r.at('algorithm'), algorithm, 'round-to-nearest is used');
    if (precision === 'fp8')
      staticOrDynamic(
        new Reader(
          new Map<string, Data>([
            ['weight_type', 'float8'],
            ['activation_type', 'float8'],
          ]),
          r.path,
        ),
        draft,
        true,
      );
    else if (precision === 'nvfp4') draft.lost(r.at('precision'), precision, 'write `quantize linear as NVFP4`');
    else grouped(name('linear'), precision === 'int8' ? 8 : 4, true, precision === 'int8' ? -1 : 128, draft);
  },
  quarot: (_, draft) => draft.add(transform('rotate', name('residual'), { matrix: 'hadamard' })),
  spinquant: (_, draft) => draft.add(transform('rotate', name('residual'), { matrix: 'hadamard' }), 'The source learns the rotation.'),
  onnxfloattofloat16: (_, draft) => draft.add(keep(call('optional', [name('any')]), 'float16')),
  modelbuilder(r, draft) {
    const precision = r.word('precision') ?? 'fp32';
    if (precision === 'int4' && draft.empty)
      grouped(name('linear'), 4, true, 32, draft, 'The builder of onnxruntime-genai quantizes in blocks of 32.');
    else draft.lost(r.at('precision'), precision, 'the passes before it have quantized');
  },
};

/** Passes that prepare or wrap a model. */
const others: Readonly<Record<string, string>> = {
  onnxconversion: 'qc starts from an ONNX model',
  orttransformersoptimization: 'fusions; qc quantizes only',
  orttransformeroptimization: 'fusions; qc quantizes only',
  ortperftuning: 'a matter of the runtime',
  ortsessionparamstuning: 'a matter of the runtime',
  graphsurgeries: 'edits of the graph',
  dynamictofixedshape: 'edits of the graph',
  matmulnbitstoqdq: 'target portable emits DequantizeLinear, target ort MatMulNBits',
  addolivemetadata: 'metadata',
  selectivemixedprecision: 'see `search` with method ilp for mixed precision',
  onnxbnb4quantization: 'a codebook of bitsandbytes (fp4, nf4)',
};

export function importOlive(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  const list = r.inner('passes');
  for (const key of list?.keys() ?? []) {
    const value = list?.take(key);
    const outer = new Reader(value, `passes.${key}`);
    const kind = outer.word('type') ?? '';
    const id = kind.toLowerCase();
    // Older files nest the settings under `config`.
    const nested = outer.peek('config');
    const own = isMapping(nested) ? new Map([...nested]) : new Map(isMapping(value) ? [...value].filter(([k]) => k !== 'type') : []);
    if (isMapping(nested)) {
      outer.take('config');
      outer.rest(draft, indifferent);
    }
    const settings = new Reader(own, `passes.${key}`);
    const pass = Object.hasOwn(passes, id) ? passes[id] : undefined;
    if (pass) {
      draft.part();
      pass(settings, draft);
      settings.rest(draft, {
        ...indifferent,
        user_script: 'code of the source',
        metric: 'see `require` and `search`',
        quant_mode: 'static or dynamic',
      });
    } else draft.lost(`passes.${key}`, kind, Object.hasOwn(others, id) ? others[id] : 'a pass without an equal');
  }
  r.rest(draft, {
    input_model: 'given to qc compile',
    data_configs: 'bind your data with --data calib=DIR',
    evaluators: 'see `require` and `qc eval`',
    evaluator: 'see `require` and `qc eval`',
    evaluate_input_model: 'see `qc eval`',
    systems: 'where Olive runs',
    engine: 'how Olive runs',
    host: 'where Olive runs',
    target: 'where Olive runs; qc has --target',
    cache_dir: 'where Olive keeps files',
    output_dir: 'where Olive keeps files',
    log_severity_level: 'how Olive runs',
    no_artifacts: 'how Olive runs',
  });
}
