/** The outside world of the command line, so that tests run commands in-process. */
export interface Io {
  /** Results: stdout. */
  out(text: string): void;
  /** Progress, warnings, errors: stderr. */
  err(text: string): void;
  /** Whether progress may be drawn (stderr is a terminal). */
  readonly tty: boolean;
  readonly color: boolean;
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  stdin(): Promise<string>;
}

/** The process as it is. `NO_COLOR`, `FORCE_COLOR` and `--no-color` are honoured. */
export function processIo(p: NodeJS.Process = process): Io {
  const { env } = p;
  const color = env['NO_COLOR'] ? false : env['FORCE_COLOR'] ? env['FORCE_COLOR'] !== '0' : p.stdout.isTTY === true;
  return {
    out: (text) => void p.stdout.write(text),
    err: (text) => void p.stderr.write(text),
    tty: p.stderr.isTTY === true && !env['CI'],
    color,
    columns: p.stdout.columns ?? 100,
    env,
    cwd: p.cwd(),
    async stdin() {
      const parts: Buffer[] = [];
      for await (const part of p.stdin) parts.push(part as Buffer);
      return Buffer.concat(parts).toString('utf8');
    },
  };
}
