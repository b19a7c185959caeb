/**
 * The effects that the compiler may have, handed in from outside (node, browser, tests).
 * Nothing below the CLI imports `node:*`.
 */
import type { Crunch } from './crunch.ts';
import type { DType, FileRange, Model, Tensor } from './graph/types.ts';

/** Values that go in and out of a session: little-endian bytes with type and shape, as ONNX raw_data. */
export interface Value {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  run(feeds: Record<string, Value>, fetch?: readonly string[]): Promise<Record<string, Value>>;
  /** Nobody reads this value any more: later runs may write there. */
  recycle?(value: Value): void;
  close(): Promise<void>;
}

/** A read-only file that was opened for random access. */
export interface ReadFile {
  readonly path: string;
  readonly size: number;
  read(at: number, len: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A file that appears under its name only when it is committed; until then it is a temporary beside it. */
export interface WriteFile {
  readonly path: string;
  write(bytes: Uint8Array): Promise<void>;
  readonly at: number;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

export interface Workspace {
  readonly dir: string;
  /** From now on it goes with the run: an interrupt takes it away, a kill leaves it. */
  claim(): void;
  remove(): Promise<void>;
}

/** How much faster one model is than another, round by round: the median, and the interval that holds the true one in 95 of 100 cases. */
export interface Speedup {
  readonly kind: 'run' | 'prefill' | 'decode';
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Lanes {
  readonly runs: number;
  readonly threads: number;
  /** Do sessions that ask for kernels have them? */
  readonly kernels: boolean;
}

export interface Host {
  /** Opens below a folder that the user named; a path that leaves `folder` (.., absolute, symlink) is refused with QcError `path-escape`. */
  open(folder: string, relative: string): Promise<ReadFile>;
  /** Names of the regular files that lie directly in a folder, sorted by code units. */
  list(folder: string): Promise<readonly string[]>;
  /** Refuses an existing path unless `force`. */
  create(path: string, force: boolean): Promise<WriteFile>;
  /** An ONNX Runtime session. `dir` is the folder that the model's relative file ranges refer to; `kernels`: operators of qc.v1 run on ours where they are. */
  session(model: Model, dir: string, options?: { threads?: number; kernels?: boolean }): Promise<Session>;
  /** How many runs of a session should be under way at once, and threads of a session that is used so; absent where a run stops everything else. */
  lanes?(): Promise<Lanes>;
  readonly crunch: Crunch;
  /** Races two model files in processes of their own; absent where there are none (browser). */
  speed?(models: readonly [float: string, quantized: string], threads?: number): Promise<readonly Speedup[]>;
  /** Milliseconds, for progress only. */
  now(): number;
  /**
   * A folder that outlives a killed run: empty, or with `keep` as it was left. `mark` is the file that says it is ours.
   * Errors: `workspace-foreign` (it is there and not ours), `resume-nothing` (to be kept, and not there).
   */
  workspace(path: string, mark: string, keep: boolean): Promise<Workspace>;
  /** A scratch folder of this run, removed at its end. */
  scratch(): Promise<string>;
}

/** What evaluating a lazy tensor may use. */
export interface EvalContext {
  readonly crunch: Crunch;
  /** The tensor's bytes, from memory or from its file. */
  bytes(t: Tensor): Promise<Uint8Array>;
  /** The absolute path of a file range, for native code that maps the file; undefined where files cannot be mapped (wasm). */
  mapped(r: FileRange): { path: string; at: number; len: number } | undefined;
}
