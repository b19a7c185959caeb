/** Models on disk for tests, and the same models without the exporter's names. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { canonicalize } from '../../compiler/graph/canonical.ts';
import { infer } from '../../compiler/graph/infer.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Model } from '../../compiler/graph/types.ts';
import { allGraphs } from '../../compiler/graph/walk.ts';
import { findSites } from '../../compiler/match/find.ts';
import { openBelow } from '../../compiler/node/files.ts';
import type { Sites } from '../../compiler/sites.ts';

const committed = fileURLToPath(new URL('../models', import.meta.url));
const shared = fileURLToPath(new URL('../../../shared/models', import.meta.url));

/** The file of a model, or undefined where it is not on this machine. */
export const fileOf = (name: string): string | undefined =>
  [committed, shared].map((d) => `${d}/${name}/model.onnx`).find((f) => existsSync(f));

export const load = async (name: string): Promise<Model> => (await loadModel({ open: openBelow }, fileOf(name)!)).model;
export const sitesIn = (model: Model): Sites => findSites(infer(canonicalize(model)));

/** Every name but those of graph inputs and outputs replaced, metadata gone. */
export function anonymize(model: Model): Model {
  const names = new Map([...model.graph.inputs, ...model.graph.outputs].map((v) => [v.name, v.name]));
  names.set('', '');
  const of = (n: string): string => {
    if (!names.has(n)) names.set(n, `v${names.size}`);
    return names.get(n)!;
  };
  let i = 0;
  for (const g of allGraphs(model.graph)) {
    for (const n of g.nodes) {
      n.name = `n${i++}`;
      delete n.metadata;
      n.inputs = n.inputs.map(of);
      n.outputs = n.outputs.map(of);
    }
    g.initializers = new Map([...g.initializers].map(([name, t]) => [of(name), t]));
    g.values = new Map([...g.values].map(([name, v]) => [of(name), { ...v, name: of(name) }]));
    for (const v of [...g.inputs, ...g.outputs]) v.name = of(v.name);
  }
  return model;
}
