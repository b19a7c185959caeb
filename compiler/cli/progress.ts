/** Progress of the phases of a run: a live line with a time estimate on a terminal, one plain line a phase elsewhere. */
import { duration } from '../report/units.ts';
import type { Io } from './io.ts';

export interface Progress {
  /** Enters a phase; the one before is done. The same name again only updates `done` of `total`. */
  phase(name: string, done?: number, total?: number): void;
  /** Ends the last phase; resolves when everything is drawn. */
  end(failed?: boolean): Promise<void>;
}

/** What is left after `elapsed` ms, if work goes on at its pace; undefined while it is too early to say. */
export function remaining(elapsed: number, done: number, total: number): number | undefined {
  return elapsed < 1500 || done <= 0 || done >= total ? undefined : (elapsed / done) * (total - done);
}

const title = (name: string, elapsed: number, done?: number, total?: number): string => {
  if (done === undefined || !total) return name;
  const left = remaining(elapsed, done, total);
  // Steps are counted, bytes are not.
  const stands = total < 10_000 ? `${done}/${total}` : `${Math.floor((100 * done) / total)} %`;
  return `${name}  ${stands}${left === undefined ? '' : ` · ${duration(left)} left`}`;
};

export async function progress(io: Io, quiet: boolean, now: () => number = () => performance.now()): Promise<Progress> {
  if (quiet) return { phase() {}, async end() {} };
  return io.tty ? terminal(now) : lines(io, now);
}

/** Phases shorter than so many ms are not worth a line in a log. */
const WORTH_A_LINE = 50;

function lines(io: Io, now: () => number): Progress {
  let current: { name: string; since: number } | undefined;
  const finish = () => {
    if (current && now() - current.since >= WORTH_A_LINE) io.err(`done  ${current.name}  ${duration(now() - current.since)}\n`);
    current = undefined;
  };
  return {
    phase(name) {
      if (current?.name === name) return;
      finish();
      current = { name, since: now() };
    },
    async end(failed = false) {
      // The error says which phase failed better than a line of progress could.
      if (failed) current = undefined;
      finish();
    },
  };
}

/** A phase on the terminal. */
interface Shown {
  readonly name: string;
  readonly since: number;
  update(text: string): void;
  finish(failed: boolean): void;
  /** Resolves when its last line is drawn. */
  readonly drawn: Promise<unknown>;
}

async function terminal(now: () => number): Promise<Progress> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // stdout stays free for results.
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  const draw = (task: (t: { title: string | undefined }) => Promise<void>, first: string) =>
    new Listr([{ title: first, task: (_, t) => task(t) }], {
      exitOnError: false,
      fallbackRendererCondition: false,
      rendererOptions: { logger, collapseErrors: true, showErrorMessage: false },
    }).run();

  const start = (name: string, before: Promise<unknown>): Shown => {
    const since = now();
    let text = name;
    let show = (_: string): void => {};
    let finish: Shown['finish'] = () => {};
    const over = new Promise<{ failed: boolean; took: number }>((done) => {
      finish = (failed) => done({ failed, took: now() - since });
    });
    const pause = new Promise<void>((done) => setTimeout(() => done(), WORTH_A_LINE).unref());
    // One list a phase, one after the other: phases are known only as they come.
    const drawn = before.then(async () => {
      const early = await Promise.race([over, pause]);
      if (early && !early.failed && early.took < WORTH_A_LINE) return;
      await draw(async (task) => {
        show = (t) => {
          task.title = t;
        };
        show(text);
        const { failed, took } = await over;
        show(`${name}  ${duration(took)}`);
        if (failed) throw new Error(name);
      }, text);
    });
    const update = (t: string): void => {
      text = t;
      show(t);
    };
    return { name, since, update, finish: (failed) => finish(failed), drawn };
  };

  let current: Shown | undefined;
  return {
    phase(name, done, total) {
      if (current?.name !== name) {
        current?.finish(false);
        current = start(name, current?.drawn ?? Promise.resolve());
      }
      current.update(title(name, now() - current.since, done, total));
    },
    async end(failed = false) {
      current?.finish(failed);
      await current?.drawn;
      current = undefined;
    },
  };
}
