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
  return `${name}  ${done}/${total}${left === undefined ? '' : ` · ${duration(left)} left`}`;
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

async function terminal(now: () => number): Promise<Progress> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // stdout stays free for results.
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  interface Running {
    readonly name: string;
    readonly since: number;
    update(text: string): void;
    finish(failed: boolean): void;
    readonly drawn: Promise<unknown>;
  }
  let current: Running | undefined;
  let queue = Promise.resolve<unknown>(undefined);
  const start = (name: string): Running => {
    const since = now();
    let finish: (failed: boolean) => void = () => {};
    const over = new Promise<boolean>((done) => {
      finish = done;
    });
    let text = name;
    let show: ((t: string) => void) | undefined;
    // One list a phase, one after the other: phases are known only as they come.
    const drawn = queue.then(() =>
      new Listr(
        [
          {
            title: text,
            task: async (_: unknown, task: { title: string | undefined }) => {
              show = (t) => {
                task.title = t;
              };
              const failed = await over;
              task.title = `${name}  ${duration(now() - since)}`;
              if (failed) throw new Error(name);
            },
          },
        ],
        {
          exitOnError: false,
          fallbackRendererCondition: false,
          rendererOptions: { logger, collapseErrors: true, showErrorMessage: false },
        },
      ).run(),
    );
    queue = drawn;
    return {
      name,
      since,
      update(t) {
        text = t;
        show?.(t);
      },
      finish: (failed) => finish(failed),
      drawn,
    };
  };
  return {
    phase(name, done, total) {
      if (current?.name !== name) {
        current?.finish(false);
        current = start(name);
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
