import { Option } from 'commander';
import type { CompileResult, Dump } from '../../driver/types.ts';
import type { WriteFile } from '../../host.ts';
import { bytes, duration } from '../../report/units.ts';
import { type Bindings, binding } from '../bindings.ts';
import { render } from '../errors.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { near, style, table } from '../style.ts';

interface Options extends Common {
  readonly output?: string;
  readonly target?: string;
  readonly param?: Bindings;
  readonly data?: Bindings;
  readonly stats?: string;
  readonly replay?: boolean;
  readonly dump?: Dump;
  readonly report?: string;
  readonly io?: 'keep' | 'quantized';
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly locked?: boolean;
}

/** `qc compile`: the quantized model. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'compile <model> <recipe>',
    'quantize a model as a recipe says',
    (c) =>
      c
        .option('-o, --output <file>', 'the model to write (default: <model>.<recipe>.onnx here)')
        .option('--target <name>', 'where it is to run: portable or ort (default: what the recipe says, else portable)')
        .option('--param <name=value>', 'a parameter of the recipe; repeatable', binding)
        .option('--data <name=dir>', 'the folder behind data("name"); repeatable', binding)
        .option('--stats <file>', 'reuse a statistics record (.qstats) instead of data')
        .option('--replay', 'reuse the search results stored in the output that is there')
        .addOption(
          new Option('--dump <phase>', 'print one phase instead of the summary; nothing is written without -o').choices([
            'ast',
            'recipe',
            'plan',
            'graph',
            'lowered',
          ]),
        )
        .option('--report <file>', 'write a report: one HTML file that needs no network')
        .addOption(
          new Option('--io <form>', 'cache inputs and outputs: as they are, or quantized as in the recipe').choices(['keep', 'quantized']),
        )
        .option('--resume', 'go on with a compile to the same output that was interrupted while it solved')
        .option('--locked', 'fail where anything is not as qrecipe.lock says, and do not write it')
        .option('--force', 'replace existing files'),
    async ([model, recipe], options, io) => {
      const [
        { dirname, resolve },
        { nodeHost },
        { compile },
        { progress },
        { outputName, planOptions, refuseInput, refuseUnread, replayed, splitRecipe },
        { compareLock, projectOf, writeLock },
      ] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../compile.ts'),
        import('../progress.ts'),
        import('../options.ts'),
        import('../../node/lockfile.ts'),
      ]);
      const at = (path: string) => resolve(io.cwd, path);
      const host = await nodeHost(options.threads === undefined ? {} : { threads: options.threads });
      const shown = await progress(io, options.quiet === true || options.json === true);
      let ended = false;
      let report: WriteFile | undefined;
      try {
        const chosen = options.output ?? outputName(model!, recipe!);
        const output = options.dump && options.output === undefined ? resolve(await host.scratch(), 'dump.onnx') : at(chosen);
        await refuseInput(output, at(model!));
        // Whether the report can be written is to be known before the work.
        report = options.report === undefined ? undefined : await host.create(at(options.report), options.force === true);
        const shared = await planOptions(io, host, model!, recipe!, options);
        const project = projectOf(dirname(at(splitRecipe(recipe!).file)));
        // Tampered packages are refused before the work.
        compareLock(project, shared.packages ?? [], options.locked === true);
        if (options.data) await refuseUnread(shared, options.data);
        const result = await compile({
          ...shared,
          output,
          onEvent: (e) => shown.phase(e.phase, e.done, e.total),
          histograms: report !== undefined,
          ...(options.data ? { data: Object.fromEntries(Object.entries(options.data).map(([k, v]) => [k, at(v)])) } : {}),
          ...(options.stats === undefined ? {} : { stats: at(options.stats) }),
          ...(options.replay ? { replay: await replayed(host, output) } : {}),
          ...(options.force ? { force: true } : {}),
          ...(options.io === undefined ? {} : { io: options.io }),
          ...(options.resume ? { resume: true } : {}),
          ...(options.dump ? { dumps: [options.dump] } : {}),
          ...(options.threads === undefined ? {} : { threads: options.threads }),
        });
        if (report) {
          shown.phase('report');
          const { renderReport } = await import('../../report/page.ts');
          await report.write(new TextEncoder().encode(await renderReport(result.report)));
          await report.commit();
        }
        const locked = result.ok && !options.locked && !options.dump ? await writeLock(host, project, shared.packages ?? []) : [];
        ended = true;
        await shown.end();
        if (options.json) io.out(`${JSON.stringify(asJson(result), null, 2)}\n`);
        else if (options.dump) io.out(`${result.dumps[options.dump]!.trimEnd()}\n`);
        else {
          warn(io, result, new Map([[splitRecipe(recipe!).file, shared.text ?? '']]));
          summary(io, result, options.quiet === true, options.report);
        }
        if (!options.json && !options.quiet) for (const c of locked) io.out(`${style(io).dim('locked')}  ${c}\n`);
        return result.ok ? exit.done : exit.failed;
      } finally {
        if (!ended) {
          await shown.end(true);
          await report?.abort();
        }
        await host.close();
      }
    },
  );

/** The result as programs read it. */
function asJson(r: CompileResult): Record<string, unknown> {
  const { ok, recipe, version, target, files, bytes, coverage, requires, metrics, binding, warnings, seconds, dumps } = r;
  const phases = Object.keys(dumps).length ? { dumps } : {};
  return { ok, recipe, version, target, files, bytes, coverage, requires, metrics, binding, warnings, seconds, ...phases };
}

/** Warnings, those of the recipe at their places. */
function warn(io: Io, r: CompileResult, sources: ReadonlyMap<string, string>): void {
  if (r.warnings.length)
    io.err(
      render(
        r.warnings.map((w) => ({ ...w, severity: 'warning' })),
        io,
        sources,
      ),
    );
}

function summary(io: Io, r: CompileResult, quiet: boolean, report: string | undefined): void {
  const s = style(io);
  const broken = r.requires.filter((q) => !q.passed);
  for (const q of broken) io.err(`${s.red(s.bold('broken'))}  require ${q.text}   measured ${q.measured}\n`);
  if (!r.ok) io.err('The contract does not hold: no model was written.\n');
  if (quiet || !r.ok) return;
  io.out(`${s.bold(`${bytes(r.bytes.before)} → ${bytes(r.bytes.after)}`)}  ${(r.bytes.after / r.bytes.before).toFixed(3)}x`);
  io.out(`  ${(100 * r.coverage).toFixed(1)} % of linear and conv weights quantized, target ${r.target}\n`);
  const types = new Map<string, number>();
  for (const p of r.report.ports)
    if (p.type !== undefined) types.set(`${p.role}\n${p.port}\n${p.type}`, (types.get(`${p.role}\n${p.port}\n${p.type}`) ?? 0) + 1);
  if (types.size)
    io.out(
      table(
        ['role', 'port', 'layers', 'type'],
        [...types].map(([key, n]) => {
          const [role, port, type] = key.split('\n');
          return [role!, port!, String(n), type!];
        }),
        s,
        [2],
      ),
    );
  for (const q of r.requires.filter((q) => q.passed)) io.out(`${s.green('holds')}  require ${q.text}   measured ${q.measured}\n`);
  for (const m of r.metrics) io.out(`${m.name}  ${m.text}\n`);
  for (const [name, value] of Object.entries(r.binding)) io.out(`${s.dim('chosen')}  ${name} = ${value}\n`);
  for (const f of r.files) io.out(`${s.dim('wrote')}  ${near(io, f.path)}  ${bytes(f.bytes)}\n`);
  if (report !== undefined) io.out(`${s.dim('wrote')}  ${report}\n`);
  const total = Object.values(r.seconds).reduce((a, b) => a + b, 0);
  if (total > 0) io.out(`${s.dim(`in ${duration(1000 * total)}`)}\n`);
}
