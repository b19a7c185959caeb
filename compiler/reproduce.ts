/** `reproduce`: builds a compiled model anew from what its metadata tells, and compares every byte. */
import { fail } from '../grammar/diagnostics.ts';
import { bundledResolver } from './browser/resolve.ts';
import { splitPath } from './calibrate/source.ts';
import { compile } from './compile.ts';
import { VERSION } from './driver/metadata.ts';
import { openModel } from './driver/model.ts';
import { readOrigin } from './driver/origin.ts';
import type { CompileOptions } from './driver/types.ts';
import { loadModel } from './graph/load.ts';
import type { Model } from './graph/types.ts';
import type { Host } from './host.ts';

export interface Reproduced {
  readonly same: boolean;
  /** What differs, in words; empty where nothing does. */
  readonly differences: readonly string[];
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly same: boolean }[];
}
export interface ReproduceOptions extends Pick<CompileOptions, 'data' | 'stats' | 'threads'> {
  readonly host: Host & Required<Pick<Host, 'scratch'>>;
  /** The compiled model. */
  readonly output: string;
  /** The float model. */
  readonly model: string;
  /** Takes the search results that are stored, instead of searching again. */
  readonly replay?: boolean;
}

/** Errors: `not-made-here`; `made-otherwise` where compiler or model are not those of the metadata; those of compiling. */
export async function reproduce(o: ReproduceOptions): Promise<Reproduced> {
  const { host } = o;
  const before = await loadModel(host, o.output);
  const origin = readOrigin(before.model) ?? fail('not-made-here', `${o.output} was not made by qc`, 'Name a model that qc compile wrote.');
  if (origin.version !== VERSION)
    fail(
      'made-otherwise',
      `the model was made by qc ${origin.version}; this is qc ${VERSION}`,
      `npx qrecipe@${origin.version} reproduces it.`,
    );
  const source = await openModel(host, o.model);
  try {
    if ((await source.fingerprint()) !== origin.model)
      fail('made-otherwise', `${o.model} is not the model that it was made from`, `Its hash must be ${origin.model}.`);
  } finally {
    await source.close();
  }
  const inPackage = (path: string): boolean => origin.packages.some((p) => path.startsWith(`${p.name}@${p.version}/`));
  const packages = origin.packages.map((p) => {
    const at = `${p.name}@${p.version}/`;
    const own = Object.entries(origin.sources).filter(([path]) => path.startsWith(at));
    return { ...p, files: Object.fromEntries(own.map(([path, text]) => [path.slice(at.length), text])) };
  });
  const texts = Object.fromEntries(Object.entries(origin.sources).filter(([path]) => !inPackage(path)));
  const folder = await host.scratch();
  const { name } = splitPath(o.output);
  const external = [...before.model.graph.initializers.values()].some((t) => t.source.kind === 'file' && t.source.file !== name);
  const made = await compile({
    host,
    model: o.model,
    recipe: `${origin.root}#${origin.recipe.split(' ')[0]}`,
    text: texts[origin.root] ?? fail('not-made-here', 'the metadata holds no recipe', 'Compile the model again.'),
    resolve: bundledResolver(packages, texts),
    packages: origin.packages,
    params: origin.params,
    target: origin.target,
    output: `${folder}/${name}`,
    external,
    force: true,
    ...(o.replay ? { replay: origin.binding } : {}),
    ...(o.data ? { data: o.data } : {}),
    ...(o.stats === undefined ? {} : { stats: o.stats }),
    ...(o.threads === undefined ? {} : { threads: o.threads }),
  });
  if (!made.ok) return { same: false, differences: ['a `require` of the recipe does not hold any more'], files: [] };
  const files = [];
  for (const f of made.files.filter((x) => !x.path.endsWith('.qstats'))) {
    const part = splitPath(f.path).name;
    files.push({ name: part, bytes: f.bytes, same: await equal(host, [before.dir, part], [folder, part]) });
  }
  const same = files.every((f) => f.same);
  const after = await loadModel(host, `${folder}/${name}`);
  const words = same
    ? []
    : [...files.filter((f) => !f.same).map((f) => `${f.name} has other bytes`), ...compared(before.model, after.model)];
  return { same, differences: words, files };
}

const chunk = 1 << 22;
async function equal(host: Host, a: readonly [string, string], b: readonly [string, string]): Promise<boolean> {
  const open = await Promise.all([host.open(...a), host.open(...b)]);
  try {
    const [x, y] = open;
    if (x.size !== y.size) return false;
    for (let at = 0; at < x.size; at += chunk) {
      const len = Math.min(chunk, x.size - at);
      const [p, q] = await Promise.all([x.read(at, len), y.read(at, len)]);
      if (p.some((v, i) => v !== q[i])) return false;
    }
    return true;
  } finally {
    for (const f of open) await f.close();
  }
}

/** Where two models differ, as far as their graphs tell. */
function compared(a: Model, b: Model): string[] {
  const meta = [...new Set([...a.metadata.keys(), ...b.metadata.keys()])].filter((k) => a.metadata.get(k) !== b.metadata.get(k));
  const names = (m: Model): Set<string> => new Set(m.graph.initializers.keys());
  const [x, y] = [names(a), names(b)];
  const odd = [...x].filter((n) => !y.has(n)).concat([...y].filter((n) => !x.has(n)));
  return [
    ...meta.map((k) => `metadata ${k}`),
    ...(a.graph.nodes.length === b.graph.nodes.length ? [] : [`${a.graph.nodes.length} nodes, and ${b.graph.nodes.length} anew`]),
    ...(odd.length ? [`weights in one of the two: ${odd.slice(0, 5).join(', ')}`] : []),
  ];
}
