/** The `.qstats` file: a zip of header.json and one .npy for each array (numpy.load opens it). Same statistics, same bytes. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Ref } from '../schema.ts';
import { decodeNpy, encodeNpy } from './npy.ts';
import { unzip, zip } from './npz.ts';
import { type Entry, type Provenance, Statistics } from './statistics.ts';
import { view } from './values.ts';

const version = 1;
interface Header extends Provenance {
  readonly qstats: number;
  readonly observed: readonly { readonly value: string; readonly observer: Ref; readonly arrays: readonly string[] }[];
}

/** The record as bytes. */
export function encodeStatistics(statistics: Statistics): Uint8Array {
  const { entries, from } = statistics;
  const observed = entries.map((e) => ({
    value: e.value,
    observer: { name: e.observer.name, args: Object.fromEntries(Object.entries(e.observer.args).sort(([a], [b]) => (a < b ? -1 : 1))) },
    arrays: Object.keys(e.arrays).sort(),
  }));
  const header: Header = {
    qstats: version,
    graph: from.graph,
    source: from.source,
    samples: from.samples,
    batches: from.batches,
    observed,
  };
  const files: Record<string, Uint8Array> = { 'header.json': new TextEncoder().encode(`${JSON.stringify(header, undefined, 1)}\n`) };
  entries.forEach((entry, i) => {
    for (const name of observed[i]!.arrays) {
      const data = entry.arrays[name]!;
      files[`${i}.${name}.npy`] = encodeNpy({
        dtype: data instanceof Float64Array ? 'float64' : 'float32',
        shape: [data.length],
        bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      });
    }
  });
  return zip(files);
}

/** Reads a record. `label` names the file. Errors: stats-malformed, stats-version, npz-malformed, npy-malformed. */
export function decodeStatistics(bytes: Uint8Array, label: string): Statistics {
  const files = unzip(bytes, label);
  const header = parseHeader(files['header.json'], label);
  const entries = header.observed.map((o, i): Entry => {
    const arrays = o.arrays.map((name) => {
      const data = files[`${i}.${name}.npy`];
      if (!data) return malformed(label, `array ${name} of "${o.value}" is missing`);
      const array = view(decodeNpy(data, `${label}, array ${i}.${name}`));
      if (!(array instanceof Float64Array || array instanceof Float32Array))
        return malformed(label, `array ${name} of "${o.value}" is not of a float type`);
      return [name, array] as const;
    });
    return { value: o.value, observer: o.observer, arrays: Object.fromEntries(arrays) };
  });
  return new Statistics({ graph: header.graph, source: header.source, samples: header.samples, batches: header.batches }, entries);
}

const malformed = (label: string, why: string): never =>
  fail('stats-malformed', `${label}: ${why}`, 'it is not a record that qc wrote, or it is damaged; calibrate again');

function parseHeader(bytes: Uint8Array | undefined, label: string): Header {
  if (!bytes) return malformed(label, 'there is no header.json in it');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return malformed(label, 'its header.json is not JSON');
  }
  if (!isRecord(header)) return malformed(label, 'its header.json is not an object');
  if (header['qstats'] !== version)
    fail(
      'stats-version',
      `${label}: version ${String(header['qstats'])} of the record is not known, this qc writes version ${version}`,
      'calibrate again',
    );
  return isHeader(header) ? header : malformed(label, 'its header lacks fields');
}

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x);
const isHeader = (h: Record<string, unknown>): h is Record<string, unknown> & Header =>
  typeof h['graph'] === 'string' &&
  typeof h['source'] === 'string' &&
  typeof h['samples'] === 'number' &&
  typeof h['batches'] === 'number' &&
  Array.isArray(h['observed']) &&
  h['observed'].every(
    (o: unknown) =>
      isRecord(o) &&
      typeof o['value'] === 'string' &&
      isRecord(o['observer']) &&
      typeof o['observer']['name'] === 'string' &&
      isRecord(o['observer']['args']) &&
      Array.isArray(o['arrays']) &&
      o['arrays'].every((a) => typeof a === 'string'),
  );
