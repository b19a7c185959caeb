import type { Bisection } from '../../bisect.ts';
import { type Bindings, binding } from '../bindings.ts';
import { count } from '../count.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

interface Options extends Common {
  readonly param?: Bindings;
  readonly data?: Bindings;
  readonly metric?: string;
  readonly output?: string;
  readonly batches?: number;
  readonly top?: number;
}

/** `qc bisect`: which statement, transform or layer hurts most. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'bisect <model> <recipe>',
    'find the statement, transform or layer that hurts a metric most',
    (c) =>
      c
        .option('--data <name=dir>', 'the folder behind data("name"); repeatable', binding)
        .option('--param <name=value>', 'a parameter of the recipe; repeatable', binding)
        .option('--metric <name>', 'what is measured (default: kl of logits, else sqnr)')
        .option('--output <name>', 'the output of the model that is measured')
        .option('--batches <n>', 'batches of data to measure on (default 4)', count)
        .option('--top <n>', 'ports to look for (default 8)', count),
    async ([model, recipe], options, io) => {
      const [{ resolve }, { nodeHost }, { bisect }, { progress }, { planOptions }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../bisect.ts'),
        import('../progress.ts'),
        import('../options.ts'),
      ]);
      const host = await nodeHost(options.threads === undefined ? {} : { threads: options.threads });
      const shown = await progress(io, options.quiet === true || options.json === true);
      let ended = false;
      try {
        const found = await bisect({
          ...(await planOptions(io, host, model!, recipe!, options)),
          onEvent: (e) => shown.phase(e.phase, e.done, e.total),
          ...(options.data ? { data: Object.fromEntries(Object.entries(options.data).map(([k, v]) => [k, resolve(io.cwd, v)])) } : {}),
          ...(options.metric === undefined ? {} : { metric: options.metric }),
          ...(options.output === undefined ? {} : { of: options.output }),
          ...(options.batches === undefined ? {} : { batches: options.batches }),
          ...(options.top === undefined ? {} : { top: options.top }),
          ...(options.threads === undefined ? {} : { threads: options.threads }),
        });
        ended = true;
        await shown.end();
        if (options.json) io.out(`${JSON.stringify(found, null, 2)}\n`);
        else show(io, found);
        return exit.done;
      } finally {
        if (!ended) await shown.end(true);
        await host.close();
      }
    },
  );

const figure = (x: number): string => (x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(4))));
const signed = (x: number): string => (x > 0 ? `+${figure(x)}` : figure(x));

function show(io: Io, b: Bisection): void {
  const s = style(io);
  const unit = b.unit ? ` ${b.unit}` : '';
  io.out(`${b.metric} of ${b.output}: ${figure(b.value)}${unit} with all of the recipe, on ${b.batches} batches; ${b.trials} trials\n\n`);
  const statements = b.statements.map((x) => [
    x.costs === undefined ? '' : signed(x.costs),
    x.value === undefined ? 'needed' : figure(x.value),
    x.at,
    x.needed === undefined ? x.text : `${x.text}  (without it: ${x.needed})`,
  ]);
  io.out(table(['costs', 'without it', 'at', 'statement'], statements, s, [0, 1]));
  const ports = b.ports.map((x) => [signed(x.costs), figure(x.value), `${x.site} ${x.port}`, x.type, x.at]);
  io.out(`\n${table(['costs', 'in float', `${b.ports.length} of ${b.quantized} quantized ports`, 'type', 'at'], ports, s, [0, 1])}`);
}
