/** Runs the command line in this process: quick, and everything it prints is caught. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../compiler/cli/run.ts';

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export async function qc(argv: readonly string[], o: { stdin?: string; cwd?: string; env?: Record<string, string> } = {}): Promise<Ran> {
  let [out, err] = ['', ''];
  const status = await run(argv, {
    out(t) {
      out += t;
    },
    err(t) {
      err += t;
    },
    tty: false,
    color: false,
    columns: 100,
    env: o.env ?? {},
    cwd: o.cwd ?? process.cwd(),
    stdin: async () => o.stdin ?? '',
  });
  return { status, out, err };
}

/** A folder that is gone when the tests end. */
export function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'qc-test-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
