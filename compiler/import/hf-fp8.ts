/** `quantization_config` of fp8 checkpoints in transformers (`quant_method: fp8`): blocks of weights, activations at run time. */
import { call, list, name, number, quantize } from './ast.ts';
import { contained } from './awq.ts';
import { packing } from './compressed-tensors.ts';
import { type Data, isList } from './data.ts';
import type { Draft } from './draft.ts';
import { Reader } from './reader.ts';
import { without } from './select.ts';

export function importFp8(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  const fmt = r.word('fmt') ?? 'e4m3';
  const format = fmt === 'e5m2' ? call('fp8', ['e5m2']) : name('fp8');
  const size = r.take('weight_block_size');
  const body = draft.let('body', without(name('linear'), contained(r, draft)));
  const [rows, cols] = isList(size) ? size : [];
  const block =
    Number.isInteger(rows) && Number.isInteger(cols) ? { block: list(number(rows as number), number(cols as number)) } : undefined;
  if (size !== undefined && size !== null && !block) draft.lost('weight_block_size', size);
  draft.add(quantize(['weight'], body, format, block ?? { per: 'tensor' }));
  const scheme = r.word('activation_scheme') ?? 'dynamic';
  if (scheme === 'static') {
    draft.data();
    draft.add(quantize(['input'], body, format, { mode: 'static', per: 'tensor' }));
  } else {
    const group = Number.isInteger(cols) && block ? { group: cols as number } : { per: 'token' };
    draft.add(quantize(['input'], body, format, { mode: 'dynamic', ...group }));
    if (scheme !== 'dynamic') draft.lost('activation_scheme', scheme);
  }
  r.rest(draft, packing);
}
