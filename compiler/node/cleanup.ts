import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths that must not outlive the run: temporary outputs and the scratch folder. They go at close, at exit and on SIGINT/SIGTERM. */
export interface Cleanup {
  add(path: string): void;
  /** The path is no longer ours (renamed to its name, or removed). */
  forget(path: string): void;
  /** A folder of this run, made when it is first asked for. */
  scratch(): string;
  close(): void;
}

/** Starts to watch over the process's temporary files. Where nobody else listens to the signal, the process then dies of it as usual. */
export function startCleanup(): Cleanup {
  const paths = new Set<string>();
  let folder: string | undefined;
  const sweep = () => {
    for (const path of paths) rmSync(path, { recursive: true, force: true });
    paths.clear();
    folder = undefined;
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const onSignal = (signal: NodeJS.Signals) => {
    sweep();
    stop();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const stop = () => {
    process.off('exit', sweep);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.on('exit', sweep);
  for (const signal of signals) process.on(signal, onSignal);
  return {
    add: (path) => void paths.add(path),
    forget: (path) => void paths.delete(path),
    scratch() {
      folder ??= realpathSync(mkdtempSync(join(tmpdir(), 'qc-')));
      paths.add(folder);
      return folder;
    },
    close() {
      sweep();
      stop();
    },
  };
}
