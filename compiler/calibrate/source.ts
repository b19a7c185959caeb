import type { Graph } from '../graph/types.ts';
import type { Value } from '../host.ts';

/** One run of the model. */
export interface Batch {
  /** Where it came from, for messages. */
  readonly label: string;
  readonly feeds: Readonly<Record<string, Value>>;
  /** Rows of the first axis. */
  readonly samples: number;
}

/** Where calibration data comes from. It can be read again: each pass over a model asks for the same batches in the same order. */
export interface Source {
  /** What it is, for the record and for people. */
  readonly describe: string;
  /** Number of batches, where it is known before reading. */
  readonly batches?: number;
  /** Checked against the graph's inputs. */
  read(graph: Graph): AsyncIterable<Batch>;
}

/** Splits a path into folder and name. */
export function splitPath(path: string): { folder: string; name: string } {
  const trimmed = path.replace(/(?<=.)[/\\]+$/, '');
  const at = Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\'));
  return { folder: at < 0 ? '.' : trimmed.slice(0, at) || '/', name: trimmed.slice(at + 1) };
}
