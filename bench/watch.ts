/** Runs a command and watches it: wall time and the peak of its own anonymous memory (RssAnon of /proc, Linux), descendants included. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Watched {
  readonly seconds: number;
  /** Bytes; 0 where /proc is not there. */
  readonly peakAnon: number;
  readonly code: number;
  readonly output: string;
}

const INTERVAL_MS = 10;

export function watch(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Watched> {
  return new Promise((done, refuse) => {
    const started = performance.now();
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let peakAnon = 0;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part));
    const timer = setInterval(() => {
      peakAnon = Math.max(
        peakAnon,
        tree(child.pid!).reduce((n, pid) => n + anon(pid), 0),
      );
    }, INTERVAL_MS);
    child.on('error', refuse);
    child.on('close', (code) => {
      clearInterval(timer);
      done({ seconds: (performance.now() - started) / 1000, peakAnon, code: code ?? -1, output });
    });
  });
}

function anon(pid: number): number {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** The process and its descendants. */
function tree(pid: number): number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(/\s+/),
    );
    return [pid, ...children.filter(Boolean).flatMap((c) => tree(Number(c)))];
  } catch {
    return [pid];
  }
}

/** What score.py says of a model, or of the folder's float model; its last line is JSON. */
export async function score<S = Record<string, number>>(
  python: string,
  script: string,
  folder: string,
  ...rest: readonly string[]
): Promise<S> {
  const done = await watch(python, [script, folder, ...rest]);
  if (done.code !== 0) throw new Error(`score.py ${folder} ${rest.join(' ')}: ${done.output}`);
  return JSON.parse(done.output.trim().split('\n').at(-1)!) as S;
}

export const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
/** The middle one (or the mean of the two middle ones). */
export function median(xs: readonly number[]): number {
  const s = [...xs].sort((a, b) => a - b);
  const m = s.length >> 1;
  return s.length % 2 ? s[m]! : (s[m - 1]! + s[m]!) / 2;
}

/** The built command line; QC_CLI names another build to measure. */
export const cli = process.env['QC_CLI'] ?? 'dist/cli.js';
