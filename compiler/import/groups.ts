/** `config_groups` of compressed-tensors: number types for groups of modules, minus what is ignored. */
import type { Expr } from '../../grammar/ast.ts';
import { type Args, quantizeBoth, readArgs } from './args.ts';
import { name, or, quantize } from './ast.ts';
import { type Data, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { Reader } from './reader.ts';
import { bySpecificity, targets, without } from './select.ts';

/** What was quantized: for solvers and transforms that work on the same modules. */
export interface Grouped {
  readonly body: Expr;
  readonly weight?: Args;
}

/** One group on a selection. */
function group(r: Reader, body: Expr, draft: Draft): Args | undefined {
  const weights = r.inner('weights');
  const inputs = r.inner('input_activations');
  const outputs = r.inner('output_activations');
  const weight = weights && readArgs(weights, 'weight', draft);
  const input = inputs && readArgs(inputs, 'activation', draft);
  quantizeBoth(body, weight, input, draft);
  const output = outputs && readArgs(outputs, 'activation', draft);
  if (output) draft.add(quantize(['output'], body, output.format, output.fields));
  if ((input && !input.dynamic) || (output && !output.dynamic)) draft.data();
  return weight;
}

/** Groups in the order in which a later statement wins: by class, by expression, by name. */
export function groups(of: ReadonlyMap<string, Data>, path: string, ignore: readonly Expr[], draft: Draft): Grouped[] {
  const readers = [...of].filter(([, v]) => isMapping(v)).map(([k, v]) => new Reader(v, `${path}.${k}`));
  for (const [k, v] of of) if (!isMapping(v)) draft.lost(`${path}.${k}`, v);
  const rank = (r: Reader) => {
    const list = r.peek('targets');
    const last = bySpecificity((Array.isArray(list) ? list : [list]).filter((x): x is string => typeof x === 'string')).at(-1) ?? '';
    return last.startsWith('re:') ? 1 : /^[A-Z]/.test(last) ? 0 : 2;
  };
  return readers
    .toSorted((a, b) => rank(a) - rank(b))
    .flatMap((r): Grouped[] => {
      const wanted = r.words('targets') ?? ['Linear'];
      const chosen = targets(wanted, r.at('targets'), draft);
      if (wanted.length && chosen.length === 0) return [];
      const all = chosen.length ? or(...chosen) : name('linear');
      const body = draft.let('body', without(all, ignore));
      const weight = group(r, body, draft);
      r.rest(draft, { format: 'how a checkpoint is packed; qc packs as its target wants' });
      return [{ body, ...(weight ? { weight } : {}) }];
    });
}

/** The scheme of the attention cache. */
export function cache(r: Reader | undefined, draft: Draft): void {
  const args = r && readArgs(r, 'activation', draft);
  if (!args) return;
  if (!args.dynamic) draft.data();
  draft.add(quantize(['key', 'value'], name('attention'), args.format, args.fields));
}
