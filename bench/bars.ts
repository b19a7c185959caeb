/**
 * Writes docs/measured/bars.md: each scheme of the LLM systems beside its bar and goal, from what bench/solvers.ts and bench/transforms.ts measured.
 *
 *   npx tsx bench/bars.ts
 *
 * Measures nothing. A cell is empty where the row was not run.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Measured {
  readonly value?: number;
  readonly decode?: number;
}
const stores = Object.fromEntries(
  (['solvers', 'transforms'] as const).map((s) => [
    s,
    JSON.parse(readFileSync(`docs/measured/${s}.json`, 'utf8')) as Record<string, Measured>,
  ]),
) as Record<'solvers' | 'transforms', Record<string, Measured>>;

type Model = 'llama' | 'llama-outlier' | 'minilm';
/** A row of bench/solvers/rows.ts by scheme and method, or one of bench/transforms/rows.ts by name. */
type Key = readonly [scheme: string, method: string] | string;
interface Scheme {
  readonly name: string;
  /** kl at most (minilm: cosine at least). Absent: never worse than the row without. */
  readonly bar?: Readonly<Partial<Record<Model, number>>>;
  readonly goal?: number;
  readonly without: Key;
  /** The final recipe first. */
  readonly recipes: readonly (readonly [label: string, key: Key])[];
  readonly models?: readonly Model[];
}
const both = (n: number) => ({ llama: n, 'llama-outlier': n });
const s = (scheme: string, method: string): Key => [scheme, method];

const schemes: readonly Scheme[] = [
  {
    name: 'W4A16 g32',
    bar: { llama: 0.0033, 'llama-outlier': 0.0035 },
    goal: 0.0014,
    without: 'w4a16',
    recipes: [
      ['smooth v, up, norms; GPTQ toward float', s('W4A16 g32', '+ smooth')],
      ['GPTQ toward float', s('W4A16 g32', '+ float target')],
      ['AWQ; GPTQ toward float', 'w4a16-awq-float'],
    ],
  },
  {
    name: 'W8A8 static, norms migrated',
    bar: both(0.0007),
    goal: 0.0002,
    without: 'w8a8-static',
    recipes: [
      ['std.w8a8_migrated', 'w8a8-migrated'],
      ['as std.w8a8_migrated, weights rounded, ranges by extremes', 'w8a8-migrated-rounded'],
      ['as std.w8a8_migrated, ranges by extremes', 'w8a8-migrated-gptq'],
      ['as std.w8a8_migrated, ranges by extremes, rotations learnt', 'w8a8-migrated-learnt'],
    ],
  },
  {
    name: 'W8A8 dynamic per token',
    bar: both(0.00026),
    goal: 0.00007,
    without: 'w8a8',
    recipes: [
      ['std.llm_w8a8_learnt', 'w8a8-learnt-zero'],
      ['std.llm_w8a8_rotated', 'w8a8-rotated'],
      ['std.llm_w8a8_rotated, GPTQ', 'w8a8-rotated-gptq'],
      ['std.llm_w8a8_rotated, GPTQ, zero points', 'w8a8-zero'],
      ['learnt rotations, GPTQ', 'w8a8-learnt-gptq'],
    ],
  },
  {
    name: 'W4A8 g32',
    bar: both(0.0036),
    goal: 0.0015,
    without: s('W4A8 g32', 'rounded'),
    recipes: [
      ['smooth v, up, norms; GPTQ toward float', s('W4A8 g32', '+ smooth')],
      ['GPTQ toward float', s('W4A8 g32', 'gptq, float target')],
      ['rotate; GPTQ toward float', s('W4A8 g32', '+ rotate')],
    ],
  },
  {
    name: 'QoQ W4A8KV4 g32',
    bar: both(0.008),
    goal: 0.005,
    without: s('QoQ W4A8KV4 g32', 'rounded'),
    recipes: [
      ['std.qoq', 'qoq'],
      ['the same statements, each layer of a block in float', s('QoQ W4A8KV4 g32', '+ descent, float target')],
    ],
  },
  {
    name: 'QoQ W4A8KV4 g128',
    bar: both(0.0092),
    goal: 0.006,
    without: s('QoQ W4A8KV4 g128', 'rounded'),
    recipes: [['rotate; GPTQ toward float', s('QoQ W4A8KV4 g128', '+ descent, float target')]],
  },
  {
    name: 'W4A4 per token',
    bar: both(0.03),
    goal: 0.0155,
    without: s('W4A4 per token', 'rounded'),
    recipes: [
      ['rotate, online before down; GPTQ; zero points', s('W4A4 per token', '+ online Hadamard before down')],
      ['learnt rotations; GPTQ; zero points', 'w4a4-token-learnt'],
    ],
  },
  {
    name: 'W4A4 g32',
    bar: both(0.0205),
    goal: 0.008,
    without: s('W4A4 g32', 'rounded'),
    recipes: [
      ['std.ostquant', 'w4a4-ostquant'],
      ['std.ostquant, the best of 3 starts by kl_top', 'w4a4-ostquant-selected'],
      ['rotate; GPTQ; zero points', s('W4A4 g32', '+ activations with zero points')],
    ],
  },
  {
    name: 'SVDQuant W4A4 g32, rank 32',
    bar: both(0.0058),
    goal: 0.0027,
    without: s('W4A4 g32', '+ activations with zero points'),
    recipes: [
      ['std.svdquant_rotated', 'w4a4-svd32-rotated'],
      ['std.svdquant', 'w4a4-svd32'],
      ['learnt rotations, then rank 32', 'w4a4-svd-learnt'],
      ['learnt rotations, then rank 32 by the error of the output', 'w4a4-svd-learnt-covariance'],
    ],
  },
  {
    name: 'SVDQuant W4A4 g32, rank 16',
    bar: both(0.0065),
    goal: 0.0038,
    without: s('W4A4 g32', '+ activations with zero points'),
    recipes: [
      ['std.svdquant_rotated', 'w4a4-svd16-rotated'],
      ['std.svdquant', 'w4a4-svd16'],
      ['learnt rotations, then rank 16', 'w4a4-svd16-learnt'],
    ],
  },
  {
    name: 'FlexQ W6A6 g32',
    bar: both(0.0014),
    goal: 0.0005,
    without: s('FlexQ W6A6 g32', 'rounded'),
    recipes: [
      ['std.flexq_rotated, bits 6', 'flexq32-learnt-mse'],
      ['smooth; GPTQ', s('FlexQ W6A6 g32', 'smooth + gptq')],
      ['learnt rotations; GPTQ; zero points', 'flexq32-learnt'],
    ],
  },
  {
    name: 'FlexQ W6A6 g128',
    bar: both(0.0024),
    goal: 0.0008,
    without: s('FlexQ W6A6 g128', 'rounded'),
    recipes: [
      ['std.flexq_rotated, bits 6', 'flexq128-learnt-mse'],
      ['smooth; GPTQ', s('FlexQ W6A6 g128', 'smooth + gptq')],
      ['learnt rotations; GPTQ; zero points', 'flexq128-learnt'],
    ],
  },
  {
    name: 'FlexQ W6A8 g32',
    bar: both(0.0004),
    goal: 0.00022,
    without: s('FlexQ W6A8 g32', 'rounded'),
    recipes: [
      ['std.flexq_rotated', 'flexq68-learnt'],
      ['smooth; GPTQ', s('FlexQ W6A8 g32', 'smooth + gptq')],
      ['Hadamard rotations; GPTQ', 'flexq68-rotated'],
    ],
  },
  { name: 'MergeQuant W4A4', without: 'w4a4-static', recipes: [['std.mergequant', 'mergequant']] },
  { name: 'fp8', without: 'fp8-static', recipes: [['fp8 by token, rounded: no method on top', 'fp8']] },
  { name: 'AWQ W4A16 g32, rounded', without: 'w4a16', recipes: [['awq on v, up, norms', 'w4a16-awq']] },
  {
    name: 'LLMC uint4 g32',
    without: 'uint4-none',
    recipes: [
      ['std.llmc_w4a16', 'llmc'],
      ['GPTQ alone', 'llmc-gptq'],
    ],
  },
  { name: 'SmoothQuant+ uint4 g32', without: 'uint4-none', recipes: [['std.smoothquant_plus', 'smoothquant-plus']] },
  {
    name: 'W4A16 g32',
    models: ['minilm'],
    bar: { minilm: 0.9875 },
    goal: 0.9945,
    without: s('W4A16 g32', 'rounded'),
    recipes: [
      ['GPTQ toward float', s('W4A16 g32', '+ float target')],
      ['awq, an explicit multiplication; GPTQ', 'minilm-w4-awq'],
      ['awq, an explicit multiplication; GPTQ toward float', 'minilm-w4-awq-float'],
    ],
  },
  {
    name: 'W8A8 static, explicit scales',
    models: ['minilm'],
    bar: { minilm: 0.9976 },
    goal: 0.9989,
    without: 'minilm-static',
    recipes: [
      ['strength searched', 'minilm-static-searched'],
      ['strength .7', 'minilm-static-online'],
      ['strength .8; ranges by mse; GPTQ', 'minilm-static-solved'],
    ],
  },
  {
    name: 'W8A8 static, folded only',
    models: ['minilm'],
    bar: { minilm: 0.993 },
    without: 'minilm-static',
    recipes: [
      ['smooth on v -> o', 'minilm-static-folded'],
      ['none', 'minilm-static'],
    ],
  },
  {
    name: 'W8A8 dynamic',
    models: ['minilm'],
    bar: { minilm: 0.999 },
    without: 'minilm-w8a8',
    recipes: [['strength searched, zero points', 'minilm-w8a8-zero']],
  },
];

const find = (model: Model, key: Key): Measured | undefined =>
  typeof key === 'string' ? stores.transforms[`${key}@${model}`] : stores.solvers[`${model} ${key[0]} ${key[1]}`];
const shown = (x: number | undefined, model: Model): string =>
  x === undefined ? '' : model === 'minilm' ? x.toFixed(5) : String(Number(x.toPrecision(3)));

const lines = schemes.flatMap((r) =>
  (r.models ?? (['llama', 'llama-outlier'] as const)).flatMap((model) => {
    const bare = find(model, r.without);
    const good = (v: number, bar: number) => (model === 'minilm' ? v >= bar : v <= bar);
    return r.recipes.flatMap(([label, key], i) => {
      const m = find(model, key);
      if (m?.value === undefined && i > 0) return [];
      const bar = r.bar?.[model] ?? bare?.value;
      const values = m?.value === undefined ? [] : [m.value, ...(m.decode === undefined ? [] : [m.decode])];
      const verdict = values.length === 0 ? 'not run' : bar === undefined ? '' : values.every((v) => good(v, bar)) ? 'holds' : 'misses';
      const goal = r.goal === undefined ? '' : `${r.goal}${values.length && values.every((v) => good(v, r.goal!)) ? ' reached' : ''}`;
      const limit = r.bar?.[model] === undefined ? 'the row without' : String(r.bar[model]);
      return [[r.name, model, label, shown(m?.value, model), shown(m?.decode, model), shown(bare?.value, model), limit, verdict, goal]];
    });
  }),
);
const head = ['scheme', 'model', 'recipe', 'score', 'token by token', 'without', 'bar', '', 'goal'];
const table = [head, head.map(() => '---'), ...lines].map((l) => `| ${l.join(' | ')} |`).join('\n');
writeFileSync(
  'docs/measured/bars.md',
  `# LLM systems beside their bars

Written by \`npx tsx bench/bars.ts\` from what [solvers](solvers.md) and [transforms](transforms.md) say of each row. Score: mean KL to float32 per token (less is better), for minilm the mean cosine (more is better); "without" is the same scheme rounded to nearest, or as the pages say. Cells are empty where a row was not run.

${table}
`,
);
const misses = lines.filter((l) => l[7] === 'misses').length;
console.log(`${lines.length} rows, ${misses} miss their bar`);
