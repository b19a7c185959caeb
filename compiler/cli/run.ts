/** `run(argv, io)`: the whole command line as a function. Commands load what they need when they run, so that `--help` is quick. */
import { Command, CommanderError } from 'commander';
import add from './commands/add.ts';
import api from './commands/api.ts';
import bench from './commands/bench.ts';
import bisect from './commands/bisect.ts';
import check from './commands/check.ts';
import compile from './commands/compile.ts';
import diff from './commands/diff.ts';
import docs from './commands/docs.ts';
import doctor from './commands/doctor.ts';
import evaluate from './commands/eval.ts';
import explain from './commands/explain.ts';
import fmt from './commands/fmt.ts';
import importConfig from './commands/import.ts';
import ingest from './commands/ingest.ts';
import init from './commands/init.ts';
import inspect from './commands/inspect.ts';
import lsp from './commands/lsp.ts';
import outdated from './commands/outdated.ts';
import publish from './commands/publish.ts';
import reproduce from './commands/reproduce.ts';
import runModel from './commands/run.ts';
import update from './commands/update.ts';
import upgrade from './commands/upgrade.ts';
import why from './commands/why.ts';
import { count } from './count.ts';
import { type Exit, exit } from './exit.ts';
import type { Io } from './io.ts';

declare const QC_VERSION: string | undefined;

/** What every command gets: a way to declare itself under `qc`, with the options that all share. */
export interface Cli {
  readonly io: Io;
  /** Declares `name` with the common options; `action` gives the exit status. */
  command<O extends Common>(usage: string, summary: string, declare: (c: Command) => Command, action: Action<O>): void;
}
export type Action<O> = (args: readonly string[], options: O, io: Io) => Promise<Exit>;
/** Options of every command. */
export interface Common {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly threads?: number;
}

const EXAMPLES = `
Examples:
  qc init model.onnx                                write a starter recipe for a model
  qc compile model.onnx w4.qrecipe -o small.onnx    quantize
  qc explain model.onnx w4.qrecipe                  what would become of every layer, and which line decides
  qc eval model.onnx small.onnx --data eval/        how far the two are apart

Exit status: 0 done, 1 a require failed, 2 wrong input, 3 internal error.`;

/** Runs one command line (without `node qc`). Never throws; gives the exit status. */
export async function run(argv: readonly string[], outer: Io): Promise<Exit> {
  const io: Io = argv.includes('--no-color') ? { ...outer, color: false } : outer;
  let status: Exit = exit.done;
  const program = new Command('qc')
    .description('Quantization recipes, compiled: model.onnx + recipe.qrecipe → a smaller, faster model.onnx.')
    .version(typeof QC_VERSION === 'string' ? QC_VERSION : '0.1.0', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help of a command')
    .addHelpText('after', EXAMPLES)
    .configureOutput({ writeOut: io.out, writeErr: io.err, getOutHelpWidth: () => io.columns, getErrHelpWidth: () => io.columns })
    .configureHelp({
      subcommandTerm: (c) =>
        `${c.name()} ${c.registeredArguments.map((a) => (a.required ? `<${a.name()}${a.variadic ? '…' : ''}>` : `[${a.name()}]`)).join(' ')}`,
    })
    .showSuggestionAfterError(true)
    .exitOverride();
  const cli: Cli = {
    io,
    command(usage, summary, declare, action) {
      const c = declare(program.command(usage).summary(summary).description(summary))
        .option('--json', 'print the result as JSON')
        .option('-q, --quiet', 'print nothing but results and errors')
        .option('--no-color', 'print without colours')
        .option('--threads <n>', 'threads to use (default: all cores)', count);
      c.action(async (...all: unknown[]) => {
        const args = all
          .slice(0, -2)
          .flat()
          .filter((a): a is string => typeof a === 'string');
        status = await action(args, c.opts(), io);
      });
    },
  };
  for (const declare of [
    compile,
    check,
    explain,
    bisect,
    diff,
    inspect,
    reproduce,
    evaluate,
    runModel,
    bench,
    fmt,
    upgrade,
    init,
    importConfig,
    ingest,
    lsp,
    docs,
    add,
    update,
    outdated,
    why,
    api,
    publish,
    doctor,
  ])
    declare(cli);
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return exit.input;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exit.done : exit.input;
    const { report } = await import('./errors.ts');
    return report(error, io, argv.includes('--json'));
  }
}
