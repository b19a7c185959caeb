import { InvalidArgumentError } from 'commander';
import type { Benched, BenchOptions } from '../../../runtime/bench.ts';
import type { Interval } from '../../../runtime/interval.ts';
import { sizes } from '../bindings.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { near, style, table } from '../style.ts';

interface Options extends Common {
  readonly shape?: readonly Record<string, number>[];
  readonly prefill: number;
  readonly decode: number;
  readonly context: number;
  readonly rounds: number;
  readonly seconds: number;
}

/** `qc bench`: how fast models are beside each other, and what memory they take. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'bench <model...>',
    'speed and memory of models, turn by turn, as multiples of the first',
    (c) =>
      c
        .option(
          '--shape <name=n,…>',
          'sizes of the inputs, one case each; repeatable (default: usual ones)',
          (text: string, before: readonly Record<string, number>[] = []) => [...before, sizes(text)],
        )
        .option('--prefill <n>', 'models with caches: tokens of the prompt; 0 leaves it out', whole, 256)
        .option('--decode <n>', 'models with caches: tokens one by one; 0 leaves it out', whole, 64)
        .option('--context <n>', 'models with caches: tokens before those', whole, 256)
        .option('--rounds <n>', 'rounds, at most', whole, 15)
        .option('--seconds <n>', 'seconds for a case, from six rounds on', whole, 20),
    async (models, options, io) => {
      const [{ resolve }, { availableParallelism }, { progress }, { fail }] = await Promise.all([
        import('node:path'),
        import('node:os'),
        import('../progress.ts'),
        import('../../../grammar/diagnostics.ts'),
      ]);
      const { bench, UnknownSize } = await import('../../../runtime/bench.ts');
      const shown = await progress(io, options.quiet === true || options.json === true);
      const settings: BenchOptions = {
        threads: options.threads ?? availableParallelism(),
        shapes: options.shape ?? [],
        prefill: options.prefill,
        decode: options.decode,
        context: options.context,
        rounds: Math.max(1, options.rounds),
        seconds: options.seconds,
        onProgress: (what, done, total) => shown.phase(what, done, total),
      };
      let failed = true;
      try {
        const paths = models.map((m) => resolve(io.cwd, m));
        const found = await bench(paths, settings).catch((e: Error) =>
          fail(
            e instanceof UnknownSize ? 'bench-size' : 'bench-run',
            e.message,
            e instanceof UnknownSize ? 'name them with --shape name=n,…' : undefined,
          ),
        );
        failed = false;
        await shown.end();
        if (options.json) io.out(`${JSON.stringify({ ok: true, ...found }, null, 2)}\n`);
        else show(found, io);
        return exit.done;
      } finally {
        if (failed) await shown.end(true);
      }
    },
  );

function show(found: Benched, io: Io): void {
  const s = style(io);
  const n = (x: number) => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));
  const range = ({ median, low, high }: Interval, unit: string) => `${n(median)}${unit} ${s.dim(`${n(low)}–${n(high)}`)}`;
  const names = found.models.map((m) => near(io, m.path));
  for (const c of found.cases) {
    io.out(`${s.bold(c.name)}  ${s.dim(`${found.threads} threads, ${c.rounds} rounds, median and 95 % interval`)}\n`);
    const rows = c.results.map((r, i) => {
      const tokens = c.kind === 'prefill' ? c.tokens! : c.kind === 'decode' ? 1 : undefined;
      const speed = tokens === undefined ? [] : [`${n((1000 * tokens) / r.ms.median)} tok/s`];
      return [names[i]!, range(r.ms, ' ms'), ...speed, i === 0 ? '' : range(r.ratio, '×')];
    });
    io.out(
      `${table(['model', c.kind === 'decode' ? 'a token' : 'a run', ...(c.kind === 'shape' ? [] : ['speed']), 'beside the first'], rows, s)}\n`,
    );
  }
  const rows = found.models.map((m, i) => [
    names[i]!,
    `${n(m.loadMs)} ms`,
    `${(m.memory / 2 ** 20).toFixed(0)} MiB`,
    m.kernels ? 'ours' : 'ONNX Runtime’s',
  ]);
  io.out(table(['model', 'load', 'memory not shared', 'kernels'], rows, s));
}

function whole(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 2 ** 24) throw new InvalidArgumentError(`"${text}" is no whole number`);
  return n;
}
