/** The names that this version builds, gathered from the folders of definitions, and the tables that have no folder. */

import { clips } from '../clips/index.ts';
import type { Named } from '../define.ts';
import { formats } from '../formats/index.ts';
import { laws } from '../laws/index.ts';
import { matrices } from '../matrices/index.ts';
import { metrics } from '../metrics/index.ts';
import { objectives } from '../objectives/index.ts';
import { orders } from '../orders/index.ts';
import { schemes } from '../plan/schemes.ts';
import { roles } from '../roles/index.ts';
import { samplers } from '../samplers/index.ts';
import { scalings } from '../scalings/index.ts';
import { choice, either, expression, int, type NameKind, num, type Schema, selection, str } from '../schema.ts';
import { searches } from '../searches/index.ts';
import { solvers } from '../solvers/index.ts';
import { targets } from '../targets/index.ts';
import { transforms } from '../transforms/index.ts';
import type { Entry } from './entry.ts';

/** Definitions of every kind; a folder that is empty today has names tomorrow. */
const folders: readonly (readonly [NameKind, readonly object[]])[] = [
  ['role', roles],
  ['transform', transforms],
  ['format', formats],
  ['scheme', schemes],
  ['law', laws],
  ['law', scalings],
  ['law', clips],
  ['law', orders],
  ['matrix', matrices],
  ['solver', solvers],
  ['objective', objectives],
  ['metric', metrics],
  ['search', searches],
  ['sampler', samplers],
  ['target', targets],
];

/** Where a metric is measured: its first argument, the same for all of them. */
const where: Schema = {
  of: either<unknown>(
    [
      choice(['layer', 'block', 'model', 'rollout'], { doc: 'A scope.' }),
      selection({ doc: 'An output of the model, or outputs of sites.' }),
    ],
    { doc: 'Where it is measured: `output("logits")`, a selection, or the scope layer, block, model or rollout.', optional: true },
  ),
};

function entries(kind: NameKind, definition: object): Entry[] {
  const d = definition as Named & {
    readonly unit?: string;
    readonly spellings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly resolve?: (p: Record<string, unknown>) => { readonly codes?: unknown };
  };
  const measured = kind === 'metric' || kind === 'objective';
  const params = measured ? { ...where, ...d.params } : d.params;
  const positional = measured && !('of' in d.params) ? ['of', ...(d.positional ?? [])] : d.positional;
  const entry: Entry = {
    kind,
    name: d.name,
    doc: d.doc,
    params,
    since: d.since,
    ...(positional ? { positional } : {}),
    ...(d.formula ? { formula: d.formula } : {}),
    ...(d.cite ? { cite: d.cite } : {}),
    ...(d.unit ? { units: [d.unit] } : {}),
    ...(kind === 'format' && Object.keys(d.params).length === 0 && d.resolve?.({}).codes === undefined ? { cast: true } : {}),
  };
  const spellings = Object.entries(d.spellings ?? {}).map(([name, fixed]): Entry => {
    const open = Object.fromEntries(Object.entries(params).filter(([k]) => !(k in fixed)));
    return { ...entry, name, params: open, positional: (positional ?? []).filter((p) => p in open), spelling: { of: d.name, fixed } };
  });
  return [entry, ...spellings];
}

const bytes = ['B', 'KB', 'MB', 'GB', 'x', '%'];
const at = (kind: Entry['kind'], name: string, doc: string, params: Schema = {}, rest: Partial<Entry> = {}): Entry => ({
  kind,
  name,
  doc,
  params,
  positional: Object.keys(params),
  since: '0.1.0',
  ...rest,
});
const part = selection({ doc: 'Which sites; the whole model if it is not given.', optional: true });
const span = either<unknown>([choice(['model'], { doc: 'The whole model.' }), selection({ doc: 'Which sites.' })], {
  doc: 'Which sites; the whole model if it is not given.',
  optional: true,
});

/** Names without a folder: where data comes from, and what expressions can ask of the compiled model. */
const tables: readonly Entry[] = [
  at('source', 'data', 'Arrays in .npz or .npy files, keyed by the names of the inputs; bound on the command line: --data NAME=DIR.', {
    name: str({ doc: 'The name that --data binds.' }),
  }),
  at('source', 'text', 'Raw text, cut into windows by the tokenizer beside the model; bound on the command line: --data NAME=FILE.', {
    name: str({ doc: 'The name that --data binds.' }),
    seed: int({ doc: 'Which windows are drawn.', min: 0, optional: true }),
  }),
  at(
    'function',
    'size',
    'Bytes of the emitted model with its data; in `x`, as a multiple of the float model.',
    { of: part },
    { units: bytes },
  ),
  at(
    'law',
    'median',
    'Channels above a multiple of the median range: what `transform split` splits.',
    { times: num({ doc: 'Multiple of the median.', min: 1, default: 4 }) },
    { since: '0.2.0', formula: 'max|x_k| > times · median' },
  ),
  at(
    'solver',
    'cayley',
    'Gradient steps on the manifold of orthogonal matrices: how `transform rotate` learns. It stops early by the error on held-out rows.',
    { steps: int({ doc: 'Steps, at most.', min: 1, max: 100000, default: 80 }) },
    { since: '0.2.0', formula: 'R ← (1 + η/2 A)⁻¹ (1 − η/2 A) R, A = G Rᵀ − R Gᵀ', cite: 'Hu et al., OSTQuant, 2025 (arXiv:2501.13987)' },
  ),
  at(
    'function',
    'speedup',
    'Speed as a multiple of the float model on the machine that compiles, measured as `qc bench` does: at usual sizes, or, where the model has caches, a prompt of 256 tokens and tokens one by one behind it. Without an argument the smallest of these.',
    { of: choice(['run', 'prefill', 'decode'], { doc: 'What is measured.', optional: true }) },
    { units: ['x'] },
  ),
  at('function', 'mean_bits', 'Mean bits of a weight, without scales.', { of: span }),
  at('function', 'coverage', 'Share of the weights of linear and conv that are quantized.', { of: part }, { units: ['%', 'x'] }),
  at(
    'function',
    'fraction',
    'Share of the units of a variable for which a condition holds, by weights.',
    {
      condition: expression({ doc: 'For example `bits == 8`.' }),
    },
    { units: ['%', 'x'] },
  ),
];

export const built: readonly Entry[] = [...folders.flatMap(([kind, all]) => all.flatMap((d) => entries(kind, d))), ...tables];
