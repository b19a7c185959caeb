/** `quantization_config` of GPTQ checkpoints (AutoGPTQ, GPTQModel, Optimum). https://github.com/ModelCloud/GPTQModel */
import type { Expr } from '../../grammar/ast.ts';
import { integer } from './args.ts';
import { and, call, type Fields, glob, keep, name, not, quantize, regex, solve } from './ast.ts';
import { packing } from './compressed-tensors.ts';
import { type Data, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { order } from './llm-compressor.ts';
import { Reader } from './reader.ts';
import { pythonRegex } from './select.ts';

/** Weights in groups, or by channel where the group is −1. */
export function grouped(of: Expr, bits: number, symmetric: boolean, group: number | undefined, draft: Draft, ...notes: string[]): void {
  const wide = group === undefined || group <= 1;
  if (bits === 4 && !wide) draft.add(quantize([], of, call(symmetric ? 'W4A16' : 'W4A16_ASYM', [], { group, scale: 'minmax' })), ...notes);
  else if (bits === 8 && wide && symmetric) draft.add(quantize([], of, name('W8A16')), ...notes);
  else draft.add(quantize(['weight'], of, integer(bits, symmetric), wide ? { per: 'channel' } : { group }), ...notes);
}

/** `dynamic` of GPTQModel: `-:regex` leaves modules alone, `+:regex` or a plain one gives them other settings. */
function dynamic(d: Data | undefined, base: { bits: number; sym: boolean; group: number }, draft: Draft): void {
  if (!isMapping(d)) return;
  for (const [key, value] of d) {
    const [, sign, pattern = ''] = /^([+-]:)?(.*)$/s.exec(key) ?? [];
    const re = pythonRegex(pattern, 'match');
    if (re === undefined) draft.lost(`dynamic.${key}`, value, 'no regular expression of JavaScript says this');
    else if (sign === '-:') draft.add(keep(regex(re)));
    else {
      const r = new Reader(value, `dynamic.${key}`);
      const bits = r.int(2, 8, 'bits') ?? base.bits;
      grouped(and(name('linear'), regex(re)), bits, r.flag('sym') ?? base.sym, r.int(-1, 1 << 20, 'group_size') ?? base.group, draft);
      r.rest(draft);
    }
  }
}

export function importGptq(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  const bits = r.int(2, 8, 'bits', 'w_bit') ?? 4;
  const group = r.int(-1, 1 << 20, 'group_size') ?? 128;
  const sym = r.flag('sym') ?? true;
  const head = r.flag('lm_head') ?? false;
  const linear = name('linear');
  const body = head ? linear : draft.let('body', and(linear, not(glob('lm_head'))));
  const meta = r.inner('meta');
  const damp = r.number('damp_percent') ?? meta?.number('damp_percent');
  const mse = meta?.number('mse') ?? 0;
  if (mse > 0) draft.lost('meta.mse', mse, 'ranges are the full ones; see the scale law mse');
  draft.data();
  grouped(body, bits, sym, group, draft);
  dynamic(r.take('dynamic'), { bits, sym, group }, draft);
  const fields: Fields = {
    damp,
    ...order(r.flag('desc_act') ?? false, 'desc_act', draft),
    static_groups: r.flag('static_groups') ?? meta?.flag('static_groups'),
    within: (r.flag('true_sequential') ?? meta?.flag('true_sequential')) === true ? 'layer' : undefined,
  };
  draft.add(solve('gptq', body, fields));
  meta?.take('quantizer', 'uri');
  meta?.rest(draft);
  for (const key of r.keys()) if (r.peek(key) === null) r.take(key);
  r.rest(draft, {
    ...packing,
    checkpoint_format: packing.format,
    model_name_or_path: 'names a checkpoint',
    model_file_base_name: 'names a checkpoint',
    dataset: 'bind your data with --data calib=DIR',
    tokenizer: 'names a tokenizer',
    batch_size: 'a matter of speed',
    use_cuda_fp16: 'a kernel',
    exllama_config: 'a kernel',
    use_exllama: 'a kernel',
    disable_exllama: 'a kernel',
    cache_block_outputs: 'a matter of speed',
    modules_in_block_to_quantize: 'narrow `body` to these modules',
  });
}
