/** `quantization_config` of compressed-tensors checkpoints. https://github.com/neuralmagic/compressed-tensors */
import { type Data, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { cache, groups } from './groups.ts';
import { Reader } from './reader.ts';
import { targets } from './select.ts';

/** Keys of a checkpoint that say nothing about numbers. */
export const packing = {
  quant_method: 'names the format',
  format: 'how a checkpoint is packed; qc packs as its target wants',
  quantization_status: 'the state of a checkpoint',
  global_compression_ratio: 'a measurement',
  version: 'names the format',
};

export function importCompressedTensors(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  r.take('quant_method');
  const ignore = targets(r.words('ignore') ?? [], 'ignore', draft);
  const own = r.take('config_groups');
  if (isMapping(own)) groups(own, 'config_groups', ignore, draft);
  cache(r.inner('kv_cache_scheme'), draft);
  for (const key of ['sparsity_config', 'transform_config', 'global_compression_ratio']) {
    const v = r.peek(key);
    if (v === null || (isMapping(v) && v.size === 0)) r.take(key);
  }
  r.rest(draft, packing);
}
