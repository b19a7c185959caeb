/** Tensor types of llama.cpp's quantize: `--tensor-type name=type` and its friends, one or many a line. https://github.com/ggml-org/llama.cpp */
import type { Expr } from '../../grammar/ast.ts';
import { integer } from './args.ts';
import { and, call, type Fields, keep, name, quantize, regex, role } from './ast.ts';
import type { Draft } from './draft.ts';
import { pythonRegex } from './select.ts';

/** A type of ggml: the nearest of the language, and what is not the same. `exact`: nothing. */
interface Type {
  readonly format: Expr;
  readonly fields: Fields;
  readonly differs?: string;
}
const blocks = (bits: number, group: number, signed: boolean, differs?: string, fields: Fields = {}): Type => ({
  format: integer(bits, signed),
  fields: { group, ...fields },
  ...(differs ? { differs } : {}),
});
const signed = { scale: 'absmax_signed' };
const minimum = 'its blocks have a float minimum, here an integer zero point';
const nested = (n: number) => `superblocks of 256 hold ${n}-bit scales of their blocks; here each group has a scale of its own`;
const codebook = 'its codes stand for a codebook that is not uniform';

const types: Readonly<Record<string, Type>> = {
  q4_0: blocks(4, 32, true, undefined, signed),
  q5_0: blocks(5, 32, true, undefined, signed),
  q8_0: blocks(8, 32, true),
  q4_1: blocks(4, 32, false, minimum),
  q5_1: blocks(5, 32, false, minimum),
  q2_k: blocks(2, 16, false, nested(4)),
  q3_k: blocks(3, 16, true, nested(6)),
  q4_k: blocks(4, 32, false, nested(6)),
  q5_k: blocks(5, 32, false, nested(6)),
  q6_k: blocks(6, 16, true, nested(8)),
  iq4_nl: blocks(4, 32, true, codebook),
  iq4_xs: blocks(4, 32, true, codebook),
  iq3_s: blocks(3, 32, true, codebook),
  iq3_xxs: blocks(3, 32, true, codebook),
  iq2_s: blocks(2, 32, true, codebook),
  iq2_xs: blocks(2, 32, true, codebook),
  iq2_xxs: blocks(2, 32, true, codebook),
  mxfp4: { format: name('mxfp4'), fields: {} },
};
const casts: Readonly<Record<string, string | undefined>> = { f16: 'float16', bf16: 'bfloat16', f32: undefined };

/** Mixtures (`q4_k_m`) as the type that most tensors get. */
const mixtures: Readonly<Record<string, string>> = {
  q2_k_s: 'q2_k',
  q3_k_s: 'q3_k',
  q3_k_m: 'q3_k',
  q3_k_l: 'q3_k',
  q4_k_s: 'q4_k',
  q4_k_m: 'q4_k',
  q5_k_s: 'q5_k',
  q5_k_m: 'q5_k',
};

/** Names of tensors in GGUF as selections. */
const tensors: Readonly<Record<string, Expr>> = {
  attn_q: role('attention.q'),
  attn_k: role('attention.k'),
  attn_v: role('attention.v'),
  attn_output: role('attention.output'),
  ffn_gate: role('mlp.gate'),
  ffn_up: role('mlp.up'),
  ffn_down: role('mlp.down'),
  ssm_conv1d: role('ssm.conv'),
  token_embd: name('embedding'),
  output: call('path', [{ kind: 'string', value: 'lm_head', span: { file: '', start: 0, end: 0, line: 1, column: 1 } }]),
};

function assign(of: Expr, type: string, where: string, draft: Draft, ...notes: string[]): void {
  const word = type.toLowerCase();
  if (Object.hasOwn(casts, word)) {
    draft.add(keep(of, casts[word]), ...notes);
    return;
  }
  const base = Object.hasOwn(mixtures, word) ? (mixtures[word] as string) : word;
  const t = Object.hasOwn(types, base) ? types[base] : undefined;
  if (!t) {
    draft.lost(where, type, 'no number type is near to this one');
    return;
  }
  const mixed =
    base === word
      ? []
      : [`${type} is a mixture: llama.cpp gives some tensors more bits by rules of its own; here all have those of ${base}.`];
  const differs = t.differs ? [`No exact equal of ${base}: ${t.differs}.`] : [];
  draft.add(quantize(['weight'], of, t.format, t.fields), ...notes, ...mixed, ...differs);
}

/** The tensor that a pattern ends in, and what stands before it; patterns are searched for in names such as `blk.12.attn_k.weight`. */
function tensor(pattern: string, where: string, draft: Draft): Expr | undefined {
  const known = Object.keys(tensors).sort((a, b) => b.length - a.length);
  const clean = pattern.replace(/\$$/, '').replace(/(\\?\.weight)$/, '');
  const end = known.find((k) => clean === k || new RegExp(`(^|[^a-z_])${k}$`).test(clean));
  if (!end) {
    draft.lost(where, undefined, 'no role stands for this tensor');
    return undefined;
  }
  const before = clean.slice(0, clean.length - end.length).replace(/^\^?(blk)?/, '');
  if (before === '' || /^\\?\.?$/.test(before)) return tensors[end];
  const re = pythonRegex(before, 'search');
  if (re === undefined) {
    draft.lost(where, undefined, 'no regular expression of JavaScript says this');
    return undefined;
  }
  return and(tensors[end] as Expr, regex(re));
}

/** Words as a shell splits them; a backslash outside of quotes goes only before the end of a line. */
function words(text: string): string[] {
  const out: string[] = [];
  for (const line of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    if (/^\s*(#|$)/.test(line)) continue;
    for (const m of line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|[^\s"']+/g)) out.push(m[1] ?? m[2] ?? m[0]);
  }
  return out;
}

const filler: Readonly<Record<string, string>> = {
  '--imatrix': 'an importance matrix; qc takes statistics from calibration data',
  '--include-weights': 'an importance matrix for some tensors',
  '--exclude-weights': 'an importance matrix for some tensors',
  '--prune-layers': 'layers are left out; qc keeps the graph',
  '--override-kv': 'metadata of GGUF',
  '--target-bpw': 'see `search bits` with a budget',
};
const flags: Readonly<Record<string, string>> = {
  '--pure': 'every tensor has the type that is named here anyway',
  '--allow-requantize': 'qc starts from floats',
  '--keep-split': 'how files are written',
  '--keep-bpw-state': 'how files are written',
  '--no-importance': 'see `search bits`',
};

export function importLlamaCpp(text: string, draft: Draft): void {
  const all = words(text);
  const later: (() => void)[] = [];
  let base: string | undefined;
  const set = (pair: string) => {
    const at = pair.lastIndexOf('=');
    const [pattern, type] = [pair.slice(0, at), pair.slice(at + 1)];
    later.push(() => {
      const of = tensor(pattern, pair, draft);
      if (of) assign(of, type, pair, draft);
    });
  };
  for (let i = 0; i < all.length; i++) {
    const w = all[i] as string;
    const [flag = '', inline] = w.startsWith('--') ? [w.split('=')[0], w.includes('=') ? w.slice(w.indexOf('=') + 1) : undefined] : [w];
    const value = () => inline ?? all[++i] ?? '';
    if (flag === '--tensor-type') set(value());
    else if (flag === '--output-tensor-type') {
      const t = value();
      later.push(() => assign(tensors['output'] as Expr, t, flag, draft));
    } else if (flag === '--token-embedding-type') {
      const t = value();
      later.push(() => assign(name('embedding'), t, flag, draft));
    } else if (flag === '--leave-output-tensor') later.push(() => draft.add(keep(tensors['output'] as Expr)));
    else if (Object.hasOwn(filler, flag)) draft.lost(flag, value(), filler[flag]);
    else if (Object.hasOwn(flags, flag)) draft.lost(flag, undefined, flags[flag]);
    else if (/^[^=]+=[A-Za-z]\w*$/.test(w) && !w.startsWith('-')) set(w);
    else if (Object.hasOwn(types, w.toLowerCase()) || Object.hasOwn(mixtures, w.toLowerCase())) base = w;
    else if (/quantize(\.exe)?$|\.gguf$|^\d+$/.test(w)) continue;
    else draft.lost(w, undefined, 'not understood');
  }
  if (base !== undefined) {
    assign(name('linear'), base, base, draft);
    assign(call('optional', [name('embedding')]), base, base, draft);
  }
  if (later.length) draft.part();
  for (const run of later) run();
}
