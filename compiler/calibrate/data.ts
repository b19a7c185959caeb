/** `data("name")`: arrays by graph input name, from a folder of .npz (one file = one batch) or .npy files. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Graph } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';
import { checkFeeds, fedInputs } from './feeds.ts';
import { decodeNpy } from './npy.ts';
import { decodeNpz } from './npz.ts';
import { type Batch, type Source, splitPath } from './source.ts';
import { rows } from './values.ts';

export interface DataOptions {
  /** At most so many samples (rows of the first axis). */
  readonly samples?: number;
}

/** The files of one batch: one .npz, or one .npy for each input. */
interface Group {
  readonly label: string;
  readonly files: readonly { readonly name: string; readonly input?: string }[];
}

/**
 * Batches from `path`: a folder, or one file. Folders hold .npz files keyed by input name, `<input>.npy` files (one batch), or
 * `<n>.<input>.npy` files (a batch for each n), in sorted order. Errors: data-empty, data-mixed, and those of the readers and of checkFeeds.
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
  return {
    describe: `data(${splitPath(path).name})`,
    ...(archives ? { batches: names.length } : {}),
    async *read(graph) {
      let left = options.samples ?? Number.POSITIVE_INFINITY;
      for (const group of archives ? names.map((n) => ({ label: join(folder, n), files: [{ name: n }] })) : groups(folder, names, graph)) {
        if (left <= 0) return;
        const batch = cut(await load(host, folder, group, graph), graph, left);
        left -= batch.samples;
        yield batch;
      }
    },
  };
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

async function load(host: Host, folder: string, group: Group, graph: Graph): Promise<Batch> {
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

/** Keeps at most `most` rows, where every input's first axis is the same free batch axis. */
function cut(batch: Batch, graph: Graph, most: number): Batch {
  if (batch.samples <= most) return batch;
  const inputs = fedInputs(graph);
  const axis = inputs[0]?.shape?.[0];
  if (typeof axis !== 'string' || inputs.some((i) => i.shape?.[0] !== axis)) return batch;
  const feeds = Object.fromEntries(Object.entries(batch.feeds).map(([name, value]) => [name, rows(value, 0, most)]));
  return { label: batch.label, feeds, samples: most };
}
