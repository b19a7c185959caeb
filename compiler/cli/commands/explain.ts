import { resolve } from 'node:path';
import { fail } from '../../../grammar/diagnostics.ts';
import { remedyOf } from '../../driver/slower.ts';
import type { Profiled } from '../../node/profile.ts';
import { type Bindings, binding, sizes } from '../bindings.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

interface Options extends Common {
  readonly target?: string;
  readonly param?: Bindings;
  readonly ledger?: boolean;
  readonly measure?: string;
  readonly shape?: Readonly<Record<string, number>>;
}

/** `qc explain`: what a recipe would do, and which statement decides; of a compiled model, what was done, or where it is slower than the float one. Nothing is computed or written. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'explain <model> [recipe] [selection]',
    'print what would become of every layer, and which statement decides',
    (c) =>
      c
        .option('--target <name>', 'where it is to run (default: what the recipe says, else portable)')
        .option('--param <name=value>', 'a parameter of the recipe; repeatable', binding)
        .option('--measure <float>', 'of a compiled model: time every part beside the float model and say which are slower here')
        .option('--shape <name=n,…>', 'with --measure: sizes of the inputs (default: usual ones)', sizes)
        .option('--ledger', 'of a model that qc compiled: which transform moved what where, what solvers decided'),
    async ([model, recipe, selection], options, io) => {
      const [{ nodeHost }, { explain, explanationText }, { planOptions }] = await Promise.all([
        import('../../node/host.ts'),
        import('../../explain.ts'),
        import('../options.ts'),
      ]);
      const host = await nodeHost();
      try {
        if (options.measure !== undefined) {
          const { profileModels } = await import('../../node/profile.ts');
          const { availableParallelism } = await import('node:os');
          const paths = [resolve(io.cwd, options.measure), resolve(io.cwd, model!)] as const;
          const found = await profileModels(host, paths, options.shape ?? {}, options.threads ?? availableParallelism());
          io.out(options.json ? `${JSON.stringify(found, null, 2)}\n` : slowerText(found, io));
          return exit.done;
        }
        if (options.ledger) {
          const { ledger, ledgerText } = await import('../../ledger.ts');
          const done = await ledger(host, resolve(io.cwd, model!));
          io.out(options.json ? `${JSON.stringify(done, null, 2)}\n` : ledgerText(done));
          return exit.done;
        }
        if (recipe === undefined)
          fail(
            'recipe-missing',
            'explain needs a recipe beside the model.',
            'Give one, --measure FLOAT for where a compiled model is slow, or --ledger for what was done to a compiled model.',
          );
        const found = await explain(await planOptions(io, host, model!, recipe!, options), selection);
        io.out(options.json ? `${JSON.stringify(found, null, 2)}\n` : explanationText(found));
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );

/** A part counts as slower from this share of the whole run on: below it clocks decide. */
const LEAST = 0.002;

function slowerText({ float, quantized, parts }: Profiled, io: Io): string {
  const s = style(io);
  const ms = (us: number) => (us / 1000).toPrecision(3);
  const slower = parts.filter((p) => p.quantized - p.float > LEAST * quantized && p.quantized > 1.05 * p.float);
  const ops = (p: Profiled['parts'][number]) =>
    p.ops
      .slice(0, 3)
      .map(([op, us]) => `${op} ${ms(us)}`)
      .join(', ');
  const head = `${s.bold(`${ms(quantized)} ms, float ${ms(float)} ms`)}  ${(float / quantized).toFixed(2)}x in operators\n`;
  if (slower.length === 0) return `${head}No part is slower than in the float model.\n`;
  const shown = slower.slice(0, 12);
  const rows = shown.map((p) => [p.name, p.role ?? '', ms(p.float), ms(p.quantized), `${(p.float / p.quantized).toFixed(2)}x`, ops(p)]);
  const what = new Map<string, string[]>();
  for (const p of shown) what.set(remedyOf(p), [...(what.get(remedyOf(p)) ?? []), p.name]);
  const advice = [...what].map(
    ([text, names]) => `${s.yellow(names.slice(0, 3).join(', '))}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: ${text}\n`,
  );
  const more = slower.length > shown.length ? `${s.dim(`and ${slower.length - shown.length} parts more`)}\n` : '';
  return `${head}\nSlower than float here:\n${table(['part', 'role', 'float ms', 'ms', '', 'operators'], rows, s, [2, 3, 4])}${more}\n${advice.join('')}`;
}
