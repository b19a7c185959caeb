/** `quantization_config` of AWQ checkpoints. https://github.com/casper-hansen/AutoAWQ */
import type { Expr } from '../../grammar/ast.ts';
import { and, call, edge, glob, name, not, or, regex, role, transform } from './ast.ts';
import { packing } from './compressed-tensors.ts';
import type { Data } from './data.ts';
import type { Draft } from './draft.ts';
import { grouped } from './gptq.ts';
import { Reader } from './reader.ts';

/** Modules whose name contains one of `modules_to_not_convert`. */
export function contained(r: Reader, draft: Draft): Expr[] {
  return (r.words('modules_to_not_convert') ?? []).flatMap((m) => {
    if (/^[\w.-]+$/.test(m)) return [regex(`.*${m.replaceAll('.', '\\.')}.*`)];
    draft.lost(r.at('modules_to_not_convert'), m, 'this is no name of a module');
    return [];
  });
}

export function importAwq(data: Data, draft: Draft): void {
  const r = new Reader(data, '');
  const bits = r.int(2, 8, 'w_bit', 'bits') ?? 4;
  const group = r.int(-1, 1 << 20, 'q_group_size', 'group_size') ?? 128;
  const zeros = r.flag('zero_point') ?? true;
  const skipped = contained(r, draft);
  const body = draft.let('body', and(name('linear'), not(or(glob('lm_head'), ...skipped))));
  draft.data();
  const law = call('awq', [], { grid: 20 });
  draft.add(transform('scale', edge(role('attention.v'), role('attention.output')), { law }));
  draft.add(transform('scale', edge(role('mlp.up'), role('mlp.down')), { law }));
  draft.add(transform('scale', edge(name('norm'), body), { law }));
  grouped(body, bits, !zeros, group, draft);
  draft.lost(
    'clip search',
    undefined,
    'AutoAWQ also searches a clip for each group on the layer output; `scale: mse` searches it on the weight',
  );
  r.rest(draft, {
    ...packing,
    version: 'the layout of a kernel; qc packs as its target wants',
    backend: 'a kernel',
    do_fuse: 'a kernel',
    exllama_config: 'a kernel',
    fuse_max_seq_len: 'a kernel',
    modules_to_fuse: 'a kernel',
  });
}
