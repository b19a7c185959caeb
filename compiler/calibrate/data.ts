/** `data("name")`: arrays by graph input name, from a folder of .npz (one file = one batch) or .npy files. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Graph } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';
import { checkFeeds, fedInputs } from './feeds.ts';
import { decodeNpy } from './npy.ts';
import { decodeNpz } from './npz.ts';
import { type Batch, type Source, splitPath } from './source.ts';
import { rowsAt } from './values.ts';

export interface DataOptions {
  /** At most so many samples (rows of the first axis), spread evenly over all files: sample j of n is row ⌊j·N/n⌋ of the N rows in sorted order. */
  readonly samples?: number;
}

/** The files of one batch: one .npz, or one .npy for each input. */
interface Group {
  readonly label: string;
  readonly files: readonly { readonly name: string; readonly input?: string }[];
}

/**
 * Batches from `path`: a folder, or one file. Folders hold .npz files keyed by input name, `<input>.npy` files (one batch), or
 * `<n>.<input>.npy` files (a batch for each n), in sorted order. Where not all samples are wanted, they are spread over the files, which often
 * differ (a diffusion step each); batches without a free batch axis are taken whole. Errors: data-empty, data-mixed, and those of the readers and of checkFeeds.
 */
export async function dataSource(host: Host, path: string, options: DataOptions = {}): Promise<Source> {
  const single = /\.np[yz]$/.test(path);
  const { folder, name } = single ? splitPath(path) : { folder: path, name: '' };
  const names = single ? [name] : (await host.list(folder)).filter((n) => /\.np[yz]$/.test(n));
  if (names.length === 0)
    fail('data-empty', `the folder ${path} has no .npz or .npy files`, 'one .npz file for each batch, arrays named like the graph inputs');
  if (new Set(names.map((n) => n.slice(-4))).size > 1)
    fail('data-mixed', `the folder ${path} has both .npz and .npy files`, 'keep one kind');
  const archives = names[0]!.endsWith('.npz');
  const load = (graph: Graph) =>
    (archives ? names.map((n) => ({ label: join(folder, n), files: [{ name: n }] })) : groups(folder, names, graph)).map(
      (group) => () => loadGroup(host, folder, group, graph),
    );
  let sizes: Promise<readonly number[]> | undefined;
  const { samples } = options;
  return {
    describe: `data(${splitPath(path).name})`,
    ...(archives && samples === undefined ? { batches: names.length } : {}),
    async *read(graph) {
      const batches = load(graph);
      if (samples === undefined) for (const batch of batches) yield await batch();
      else {
        sizes ??= sizesOf(batches);
        for (const { batch, rows } of pick(await sizes, samples, isCuttable(graph))) {
          const whole = await batches[batch]!();
          if (rows.length === whole.samples) yield whole;
          else {
            const feeds = Object.fromEntries(Object.entries(whole.feeds).map(([name, value]) => [name, rowsAt(value, rows)]));
            yield { label: whole.label, feeds, samples: rows.length };
          }
        }
      }
    },
  };
}

/** Samples of each batch. */
async function sizesOf(batches: readonly (() => Promise<Batch>)[]): Promise<number[]> {
  const sizes: number[] = [];
  for (const batch of batches) sizes.push((await batch()).samples);
  return sizes;
}

/** A batch of which something is taken, and which rows. */
interface Picked {
  readonly batch: number;
  readonly rows: readonly number[];
}

const all = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** `most` rows, spread evenly over all rows; or as many whole batches as hold them, spread evenly over the batches. */
function pick(sizes: readonly number[], most: number, cuttable: boolean): Picked[] {
  const total = sizes.reduce((a, b) => a + b, 0);
  if (most >= total) return sizes.map((n, batch) => ({ batch, rows: all(n) }));
  if (!cuttable) {
    const taken = Math.ceil((most * sizes.length) / total);
    return all(taken).map((k) => {
      const batch = Math.floor((k * sizes.length) / taken);
      return { batch, rows: all(sizes[batch]!) };
    });
  }
  const places = all(most).map((j) => Math.floor((j * total) / most));
  let [start, next] = [0, 0];
  return sizes.flatMap((n, batch) => {
    const rows: number[] = [];
    while (next < most && places[next]! < start + n) rows.push(places[next++]! - start);
    start += n;
    return rows.length ? [{ batch, rows }] : [];
  });
}

/** Can rows be taken: is every input's first axis the same free batch axis? */
function isCuttable(graph: Graph): boolean {
  const inputs = fedInputs(graph);
  const axis = inputs[0]?.shape?.[0];
  return typeof axis === 'string' && inputs.every((i) => i.shape?.[0] === axis);
}

const join = (folder: string, name: string): string => (folder === '.' ? name : `${folder.replace(/\/$/, '')}/${name}`);

/** Groups .npy files into batches by what stands before the input's name. */
function groups(folder: string, names: readonly string[], graph: Graph): Group[] {
  const inputs = graph.inputs.map((i) => i.name).sort((a, b) => b.length - a.length);
  const batches = new Map<string, { name: string; input: string }[]>();
  for (const name of names) {
    const stem = name.slice(0, -4);
    const input = inputs.find((i) => stem === i || stem.endsWith(`.${i}`));
    if (input === undefined)
      return fail(
        'data-unknown-input',
        `${join(folder, name)}: the graph has no input "${stem}"; its inputs are ${inputs.map((i) => `"${i}"`).join(', ')}`,
        'name the files <input>.npy, or <n>.<input>.npy for several batches',
      );
    const key = stem.slice(0, -input.length);
    batches.set(key, [...(batches.get(key) ?? []), { name, input }]);
  }
  return [...batches].map(([key, files]) => ({ label: join(folder, `${key}*.npy`), files }));
}

async function loadGroup(host: Host, folder: string, group: Group, graph: Graph): Promise<Batch> {
  const feeds = new Map<string, Value>();
  for (const { name, input } of group.files) {
    const file = await host.open(folder, name);
    const bytes = await file.read(0, file.size).finally(() => file.close());
    if (input === undefined) for (const [key, value] of decodeNpz(bytes, group.label)) feeds.set(key, value);
    else feeds.set(input, decodeNpy(bytes, join(folder, name)));
  }
  checkFeeds(graph, feeds, group.label);
  const samples = feeds.get(fedInputs(graph)[0]?.name ?? '')?.shape[0] ?? 1;
  return { label: group.label, feeds: Object.fromEntries(feeds), samples };
}
