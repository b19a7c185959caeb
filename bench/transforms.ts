/**
 * Measures what transforms bring: each scheme with and without them, scored by score.py on the evaluation files. Rows are kept in
 * docs/measured/transforms.json and written into docs/measured/transforms.md between the two marks; rows that are not run stay.
 *
 *   npx tsx bench/transforms.ts [--only name,name@model,…] [--list] [--page] [--models ../shared/models]
 *
 * `--page` measures nothing and writes the pages again from the record.
 *
 * Rows of recipes/systems stand in its README.md too; `--only system` runs just those.
 *
 * Needs `npm run build`, and Python with onnxruntime for score.py.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rows } from './transforms/rows.ts';
import type { Row } from './transforms/statements.ts';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
    list: { type: 'boolean', default: false },
    page: { type: 'boolean', default: false },
  },
});
const PAGE = 'docs/measured/transforms.md';
const SYSTEMS = 'recipes/systems';
const STORE = 'docs/measured/transforms.json';
const [BEGIN, END] = ['<!-- measured -->', '<!-- /measured -->'];

interface Measured {
  /** kl, or mean cosine for minilm. */
  readonly value?: number;
  readonly nll?: readonly [diff: number, error: number];
  /** The same of the calibration files, which is what choices are made by. */
  readonly calibration?: number;
  readonly decode?: number;
  readonly size?: number;
  readonly failed?: string;
}

async function measure(name: string, row: Row, model: string, dir: string): Promise<Measured> {
  const folder = join(o.models, model);
  const out = join(dir, `${name}-${model}.onnx`);
  const recipe = row.system ? `${SYSTEMS}/${row.system}.qrecipe` : join(dir, `${name}.qrecipe`);
  if (row.recipe) {
    const body = [
      ...(/calibrate|apply /.test(row.recipe) ? [] : ['calibrate data("calib")']),
      row.recipe,
      ...(model === 'minilm' ? [] : ['evaluate kl(output("logits"))']),
    ];
    writeFileSync(recipe, `use "@qrecipe/std@^0.1" as std\n\nrecipe measured version "1.0.0" {\n  ${body.join('\n  ')}\n}\n`);
  }
  const data = /calibrate|apply /.test(readFileSync(recipe, 'utf8')) ? ['--data', `calib=${join(folder, 'calib')}`] : [];
  const args = [cli, 'compile', join(folder, 'model.onnx'), recipe, '-o', out, '--target', 'ort', ...data];
  const done = await watch(process.execPath, [...args, '--force', '--json', '--quiet']);
  if (done.code !== 0) return { failed: done.output.slice(0, 200).replaceAll(/\s+/g, ' ') };
  const { bytes, metrics, requires } = JSON.parse(done.output.slice(done.output.indexOf('{'))) as {
    bytes: { before: number; after: number };
    metrics?: { value: number }[];
    requires?: { measured: string }[];
  };
  const promised = requires?.map((r) => /kl = ([\d.e-]+)/.exec(r.measured)?.[1]).find((x) => x !== undefined);
  const calibration = metrics?.[0]?.value ?? (promised === undefined ? undefined : Number(promised));
  const s = await score(o.python, o.score, folder, out);
  const decode = row.decode ? (await score(o.python, o.score, folder, out, '--decode'))['decode_kl'] : undefined;
  for (const f of [out, `${out}.data`, `${out}.qstats`]) rmSync(f, { force: true });
  return {
    value: s['kl'] ?? s['mean_cosine']!,
    ...(s['nll_diff'] === undefined ? {} : { nll: [s['nll_diff'], s['nll_diff_se']!] as const }),
    ...(calibration === undefined ? {} : { calibration }),
    ...(decode === undefined ? {} : { decode }),
    size: bytes.after / bytes.before,
  };
}

const digits = (x: number | undefined, n = 3): string => (x === undefined ? '' : Number(x.toPrecision(n)).toString());

function write(known: Readonly<Record<string, Measured>>): void {
  const lines = Object.entries(rows).flatMap(([name, row]) =>
    row.models.flatMap((model) => {
      const m = known[`${name}@${model}`];
      if (!m) return [];
      if (m.failed) return [[model, row.scheme, row.transforms, `does not compile: ${m.failed}`]];
      const bar = typeof row.bar === 'object' ? row.bar[model] : row.bar;
      const holds = bar === undefined ? '' : (model === 'minilm' ? m.value! >= bar : m.value! <= bar) ? `${bar} holds` : `${bar} –`;
      const nll = m.nll ? `${m.nll[0].toFixed(5)} ± ${m.nll[1].toFixed(5)}` : '';
      const value = model === 'minilm' ? `cosine ${m.value!.toFixed(5)}` : digits(m.value);
      return [
        [
          model,
          row.scheme,
          row.transforms,
          value,
          nll,
          digits(m.decode),
          digits(m.calibration),
          bar === undefined ? '' : holds,
          m.size ? `${m.size.toFixed(3)}×` : '',
        ],
      ];
    }),
  );
  const order = (l: readonly string[]): string => `${l[1]} ${l[0]}`;
  const head = ['model', 'scheme', 'transforms', 'kl', 'nll_diff', 'kl token by token', 'kl on calibration data', 'bar', 'size'];
  const sorted = lines.toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
  const table = [head, head.map(() => '---'), ...sorted].map((l) => `| ${l.join(' | ')} |`).join('\n');
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(PAGE, `${page.slice(0, page.indexOf(BEGIN) + BEGIN.length)}\n${table}\n${page.slice(page.indexOf(END))}`);
}

/** The rows of recipes/systems, in its README. */
function writeSystems(known: Readonly<Record<string, Measured>>): void {
  const path = `${SYSTEMS}/README.md`;
  const lines = Object.entries(rows).flatMap(([name, row]) =>
    row.models.flatMap((model) => {
      const m = known[`${name}@${model}`];
      if (!row.system || m?.value === undefined) return [];
      const nll = m.nll ? `${m.nll[0].toFixed(5)} ± ${m.nll[1].toFixed(5)}` : '';
      const value = model === 'minilm' ? `cosine ${m.value.toFixed(5)}` : digits(m.value);
      return [[row.system, model, value, nll, digits(m.decode), m.size ? `${m.size.toFixed(3)}×` : '']];
    }),
  );
  const head = ['recipe', 'model', 'kl', 'nll_diff', 'kl token by token', 'size'];
  const sorted = lines.toSorted((a, b) => (`${a[0]} ${a[1]}` < `${b[0]} ${b[1]}` ? -1 : 1));
  const table = [head, head.map(() => '---'), ...sorted].map((l) => `| ${l.join(' | ')} |`).join('\n');
  const page = readFileSync(path, 'utf8');
  writeFileSync(path, `${page.slice(0, page.indexOf(BEGIN) + BEGIN.length)}\n${table}\n${page.slice(page.indexOf(END))}`);
}

/** Read again each time: two runs may measure side by side. */
const stored = (): Record<string, Measured> => (existsSync(STORE) ? JSON.parse(readFileSync(STORE, 'utf8')) : {});

if (o.list) console.log(Object.keys(rows).join('\n'));
else if (o.page) {
  write(stored());
  writeSystems(stored());
} else {
  if (!existsSync(cli)) throw new Error('run `npm run build` first');
  const dir = mkdtempSync(join(tmpdir(), 'qc-transforms-'));
  try {
    const all = Object.keys(rows);
    const wanted = o.only === 'system' ? all.filter((n) => rows[n]!.system) : o.only ? o.only.split(',') : all;
    for (const word of wanted) {
      const [name, one] = word.split('@') as [string, string?];
      const row = rows[name];
      if (!row) throw new Error(`no row ${name}: see --list`);
      for (const model of one ? [one] : row.models) {
        const m = await measure(name, row, model, dir);
        console.log(`${name}@${model} ${JSON.stringify(m)}`);
        const known = { ...stored(), [`${name}@${model}`]: m };
        writeFileSync(STORE, `${JSON.stringify(known, null, 2)}\n`);
        write(known);
        writeSystems(known);
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
