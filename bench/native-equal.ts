/**
 * Real models compiled for target native: the same metric through the bodies on stock ONNX Runtime and through our kernels, in Python (score.py, and
 * its --decode for language models) and in Node (`qc eval`), and how many nodes are left.
 *
 *   npx tsx bench/native-equal.ts [--models ../shared/models] [--only llama,vit] [--dir /tmp/qc-bench] [--out docs/measured/native.md]
 *
 * Needs `npm run build`, and Python with onnxruntime, numpy and scipy. Rows of models that `--only` leaves out stay as they were measured last.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '../compiler/graph/load.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    out: { type: 'string', default: 'docs/measured/native.md' },
    python: { type: 'string', default: 'python3' },
  },
});
if (!existsSync(o.models)) {
  console.log(`skipped: no ${o.models}`);
  process.exit(0);
}

interface Job {
  readonly model: string;
  readonly name: string;
  readonly recipe: string;
  readonly data?: boolean;
  readonly io?: boolean;
  /** The metric of score.py that is compared. */
  readonly metric: string;
  /** How far two runs may differ: float sums differ in their last bit, and a code that rounds the other way then moves what follows. */
  readonly tolerance: number;
  readonly decode?: boolean;
}
const lm = { metric: 'kl', tolerance: 3e-4, decode: true } as const;
const jobs: readonly Job[] = [
  // Activations in float: nothing is rounded at run time, so what is left are the last bits of float sums.
  { model: 'llama', name: 'W4A16', recipe: 'apply std.w4a16(group: 32)', ...lm, tolerance: 1e-6 },
  { model: 'llama', name: 'W4A8', recipe: 'apply std.w4a8(group: 32)', ...lm },
  { model: 'llama', name: 'QoQ (W4A8KV4)', recipe: 'apply std.qoq(group: 32, samples: 16)', data: true, ...lm },
  { model: 'llama', name: 'QoQ, caches outside', recipe: 'apply std.qoq(group: 32, samples: 16)', data: true, io: true, ...lm },
  { model: 'llama', name: 'W8A8, migrated', recipe: 'apply std.w8a8_migrated(samples: 16)', data: true, ...lm },
  { model: 'llama', name: 'MergeQuant (W4A4)', recipe: 'apply std.mergequant(samples: 16)', data: true, ...lm },
  { model: 'minilm', name: 'W8A8', recipe: 'apply std.w8a8()', metric: 'mean_cosine', tolerance: 1e-3 },
  { model: 'vit', name: 'W8A8', recipe: 'apply std.w8a8()', metric: 'logits_sqnr_db', tolerance: 0.5 },
  { model: 'dit', name: 'W8A8', recipe: 'apply std.w8a8()', metric: 'psnr_db', tolerance: 1 },
  { model: 'unet', name: 'W8A8', recipe: 'apply std.w8a8()', metric: 'psnr_db', tolerance: 1 },
  { model: 'mamba', name: 'W8A8', recipe: 'apply std.w8a8()', ...lm },
  { model: 'mamba2', name: 'W8A8', recipe: 'apply std.w8a8()', ...lm },
];

interface Row {
  readonly metric: string;
  readonly tolerance: number;
  /** By score.py; not of caches in codes outside, which it feeds token by token only. */
  readonly stock?: number;
  readonly kernels?: number;
  readonly node: number;
  readonly decode?: readonly [stock: number, kernels: number];
  readonly nodes: number;
  readonly operators: Readonly<Record<string, number>>;
}

const library = `runtime/native/qc-ops.${process.platform}-${process.arch}.so`;
mkdirSync(o.dir, { recursive: true });
const record = join(o.dir, 'native-equal.json');
const rows: Record<string, Row> = existsSync(record) ? (JSON.parse(readFileSync(record, 'utf8')) as Record<string, Row>) : {};

async function must(args: readonly string[]): Promise<string> {
  const done = await watch(process.execPath, args);
  if (done.code !== 0) throw new Error(`${args.join(' ')}: ${done.output}`);
  return done.output;
}

async function compiled(j: Job): Promise<string> {
  const at = join(o.dir, `equal-${j.model}-${jobs.indexOf(j)}`);
  writeFileSync(`${at}.qrecipe`, `use "@qrecipe/std@^0.1" as std\nrecipe bench version "1.0.0" { ${j.recipe} }\n`);
  const data = j.data ? ['--data', `calib=${join(o.models, j.model, 'calib')}`] : [];
  const args = [cli, 'compile', join(o.models, j.model, 'model.onnx'), `${at}.qrecipe`, '-o', `${at}.onnx`, '--target', 'native'];
  await must([...args, '--force', '--quiet', ...data, ...(j.io ? ['--io', 'quantized'] : [])]);
  return `${at}.onnx`;
}

/** A metric by name, wherever it stands in score.py's answer or in that of `qc eval`. */
function named(answer: unknown, name: string): number {
  const values: number[] = [];
  const walk = (x: unknown, key: string): void => {
    if (typeof x === 'number' && key === name) values.push(x);
    if (typeof x === 'object' && x !== null) for (const [k, v] of Object.entries(x)) walk(v, k);
  };
  walk(answer, '');
  if (values.length === 0) throw new Error(`no ${name} in ${JSON.stringify(answer)}`);
  return values[0]!;
}

async function measured(j: Job): Promise<Row> {
  const path = await compiled(j);
  const folder = join(o.models, j.model);
  const by = (...rest: string[]) => score<Record<string, unknown>>(o.python, o.score, folder, path, ...rest);
  const whole = j.io ? {} : { stock: named(await by(), j.metric), kernels: named(await by('--ops', library), j.metric) };
  const printed = JSON.parse(await must([cli, 'eval', path, '--data', folder, '--json', '--quiet'])) as {
    metrics: readonly { name: string; value: number }[];
  };
  const decode = j.decode
    ? ([named(await by('--decode'), 'decode_kl'), named(await by('--decode', '--ops', library), 'decode_kl')] as const)
    : undefined;
  const host = await nodeHost();
  const { model } = await loadModel(host, path);
  await host.close();
  const operators: Record<string, number> = {};
  for (const n of model.graph.nodes) if (n.domain === 'qc.v1') operators[n.op] = (operators[n.op] ?? 0) + 1;
  return {
    metric: j.metric,
    tolerance: j.tolerance,
    ...whole,
    node: named(Object.fromEntries(printed.metrics.map((m) => [m.name, m.value])), j.metric),
    ...(decode ? { decode } : {}),
    nodes: model.graph.nodes.length,
    operators,
  };
}

const number = (x: number | undefined): string => x?.toPrecision(5) ?? '';
/** The largest difference between bodies and kernels. */
const worstOf = (r: Row): number =>
  Math.max(
    ...(r.stock === undefined ? [] : [r.kernels!, r.node].map((x) => Math.abs(x - r.stock!))),
    ...(r.decode ? [Math.abs(r.decode[0] - r.decode[1])] : []),
  );
function write(): void {
  const lines = jobs.flatMap((j): string[] => {
    const r = rows[`${j.model}, ${j.name}`];
    if (!r) return [];
    const worst = worstOf(r);
    const decode = r.decode ? r.decode.map(number).join(' / ') : '';
    const ops = Object.entries(r.operators).map(([name, n]) => `${n} ${name}`);
    return [
      `| ${j.model} | ${j.name} | ${r.metric} | ${number(r.stock)} | ${number(r.kernels)} | ${number(r.node)} | ${decode} | ${worst.toExponential(1)}${worst <= r.tolerance ? '' : ' **beyond**'} | ${r.tolerance} | ${r.nodes} | ${ops.join(', ')} |`,
    ];
  });
  const text = `# Target native: bodies and kernels

The same file by the bodies on stock ONNX Runtime (score.py), by our kernels in Python (score.py --ops) and in Node (\`qc eval\`); decode: mean KL token by token,
bodies / kernels. The difference is the largest between them. \`npx tsx bench/native-equal.ts\` writes this table.

Tolerances, and why. An operator alone is held to more by its tests (test/native, runtime/native/kernels/tests): integer codes, scales and integer sums equal to the
body's bit by bit on every instruction set; operators on floats, and products of codes under float scales, within 10⁻⁶ relative L2 of float64 (bodies 2·10⁻⁶), with the
same bits on every instruction set. In a whole model float sums of bodies (ONNX Runtime's order, with FMA) and kernels (ours, without) differ in their last bits.
Where activations stay float that is all: 10⁻⁶ of the metric. Where they are rounded at run time, a value at a tie becomes the next code, and all that follows sees one
step of that code: the tolerance is what such codes may move the metric.

| model | recipe | metric | bodies | kernels, Python | kernels, Node | decode | difference | tolerance | nodes | of qc.v1 |
|---|---|---|---|---|---|---|---|---|---|---|
${lines.join('\n')}
`;
  writeFileSync(o.out, text);
}

let beyond = 0;
for (const j of jobs.filter((x) => o.only === '' || o.only.split(',').includes(x.model))) {
  const r = await measured(j);
  rows[`${j.model}, ${j.name}`] = r;
  if (worstOf(r) > r.tolerance) beyond++;
  console.log(`${j.model}, ${j.name}: ${JSON.stringify(r)}`);
  writeFileSync(record, JSON.stringify(rows, null, 1));
  write();
}
write();
process.exitCode = beyond > 0 ? 1 : 0;
