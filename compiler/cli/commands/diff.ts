import type { Weight } from '../../api.ts';
import type { Difference, ModelChange, PortChange } from '../../diff.ts';
import { bytes } from '../../report/units.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

/** `qc diff`: what another version of a recipe changes, and for whom. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'diff <before> <after> [model]',
    'print what another version changes, and for whom; with a model, the layers whose numbers change',
    (c) =>
      c.addHelpText('after', '\n<before> and <after>: a recipe file, file.qrecipe#name, the folder of a package, or @scope/name@1.2.0.'),
    async ([before, after, model], options, io) => {
      const [{ resolve }, { diff }, { openSide }, { nodeHost }] = await Promise.all([
        import('node:path'),
        import('../../diff.ts'),
        import('../../node/side.ts'),
        import('../../node/host.ts'),
      ]);
      const a = await openSide(before!, io.cwd, io.env);
      try {
        const b = await openSide(after!, io.cwd, io.env);
        try {
          if (model === undefined) show(io, await diff(a.side, b.side), options.json === true);
          else {
            const host = await nodeHost();
            try {
              show(io, await diff(a.side, b.side, { host, model: resolve(io.cwd, model) }), options.json === true);
            } finally {
              await host.close();
            }
          }
        } finally {
          b.close();
        }
      } finally {
        a.close();
      }
      return exit.done;
    },
  );

const whom: Readonly<Record<Weight, string>> = {
  breaks: 'who uses it so must change something',
  output: 'the same text makes other numbers',
  adds: 'nobody has to change anything',
  none: 'only the words are others',
};

function show(io: Io, d: Difference, json: boolean): void {
  if (json) {
    io.out(`${JSON.stringify(d, null, 2)}\n`);
    return;
  }
  const s = style(io);
  const told = new Set<string>();
  for (const weight of ['breaks', 'output', 'adds', 'none'] as const) {
    const own = d.changes.filter((c) => c.weight === weight);
    if (own.length === 0) continue;
    io.out(`${s.bold(weight)}  ${s.dim(whom[weight])}\n`);
    for (const c of own) {
      io.out(`  ${c.text}\n`);
      const recipe = / does something else$/.test(c.text) ? c.text.split(' ')[0]! : undefined;
      if (recipe !== undefined && !told.has(recipe)) statements(io, d, recipe);
      if (recipe !== undefined) told.add(recipe);
    }
  }
  if (d.changes.length === 0) io.out('The two say the same.\n');
  for (const m of d.models) onModel(io, m);
}
function statements(io: Io, d: Difference, recipe: string): void {
  const s = style(io);
  for (const x of d.statements.filter((y) => y.recipe === recipe)) {
    if (x.before !== undefined) io.out(s.red(`    - ${x.before.replaceAll('\n', '\n      ')}\n`));
    if (x.after !== undefined) io.out(s.green(`    + ${x.after.replaceAll('\n', '\n      ')}\n`));
  }
}

const arrow = (before: number, after: number): string => `${bytes(before)} → ${bytes(after)}`;
const size = (p: PortChange): string => (p.bytesBefore === undefined ? '' : arrow(p.bytesBefore, p.bytesAfter ?? p.bytesBefore));
function onModel(io: Io, m: ModelChange): void {
  const s = style(io);
  if (m.failed !== undefined) {
    io.out(`\n${m.recipe}: not compared on the model. ${m.failed}\n`);
    return;
  }
  const touched = new Set(m.ports.map((p) => p.site)).size;
  io.out(`\n${s.bold(`${m.recipe}: ${touched} of ${m.sites} sites change`)}, the model ${arrow(m.bytesBefore, m.bytesAfter)}\n`);
  for (const t of m.transforms) io.out(`transform ${t.name}: ${t.before} → ${t.after} places\n`);
  const rows = m.ports.map((p) => [p.path, p.port, p.before, p.after, size(p)]);
  if (rows.length) io.out(table(['path', 'port', 'before', 'after', 'bytes'], rows, s));
}
