/** llm-compressor recipes: stages of modifiers, in YAML. https://github.com/vllm-project/llm-compressor */
import type { Expr } from '../../grammar/ast.ts';
import { call, edge, name, number, or, prune, ratio, role, solve, transform, type Val } from './ast.ts';
import { type Data, isList, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import { cache, type Grouped, groups } from './groups.ts';
import { preset, presets } from './presets.ts';
import { Reader } from './reader.ts';
import { targets, without } from './select.ts';

/** What is ignored, as selections. */
const ignored = (r: Reader, draft: Draft): Expr[] => targets(r.words('ignore') ?? [], r.at('ignore'), draft);

/** `scheme`, `config_groups` and `targets` of a modifier that quantizes. */
function quantized(r: Reader, draft: Draft): Grouped[] {
  const ignore = ignored(r, draft);
  const out: Grouped[] = [];
  const wanted = r.take('targets') ?? ['Linear'];
  const scheme = r.take('scheme');
  const add = (named: string, on: Data) => {
    const group = preset(named);
    if (!group) draft.lost(r.at('scheme'), named, `no preset of that name is known; known are ${presets.join(', ')}`);
    else out.push(...groups(new Map([[named, new Map([...group, ['targets', on]])]]), r.at('scheme'), ignore, draft));
  };
  if (typeof scheme === 'string') add(scheme, wanted);
  else if (isMapping(scheme)) {
    for (const [named, on] of scheme) {
      if (isList(on) || typeof on === 'string') add(named, on);
      else if (isMapping(on)) out.push(...groups(new Map([[named, on]]), r.at('scheme'), ignore, draft));
    }
  }
  const own = r.take('config_groups');
  if (isMapping(own)) out.push(...groups(own, r.at('config_groups'), ignore, draft));
  cache(r.inner('kv_cache_scheme'), draft);
  return out;
}

/** Column order of GPTQ. */
export function order(actorder: Data | undefined, where: string, draft: Draft): Record<string, Val> {
  if (actorder === undefined || actorder === null || actorder === false) return { order: 'natural' };
  if (actorder === 'weight' || actorder === 'static') return { order: 'hessian' };
  draft.lost(where, actorder, 'groups stay contiguous: columns are taken by their Hessian, and groups are not moved with them');
  return { order: 'hessian' };
}

function gptq(r: Reader, draft: Draft): void {
  draft.data();
  const found = quantized(r, draft);
  const given = r.has('actorder');
  const actorder = r.take('actorder');
  const args = { block: r.int(1, 65536, 'block_size'), damp: r.number('dampening_frac') };
  if (r.flag('sequential_update', 'true_sequential') === false)
    draft.lost(r.at('sequential_update'), false, 'inputs are those of the quantized blocks before');
  for (const g of found) {
    const asked = given ? actorder : g.weight?.actorder;
    const notes =
      given || g.weight?.actorder !== undefined ? [] : ['actorder is not given; its default differs between versions of llm-compressor.'];
    draft.add(solve('gptq', g.body, { ...args, ...order(asked, r.at('actorder'), draft) }), ...notes);
  }
  r.rest(draft, { offload_hessians: 'how memory is used', sequential_targets: 'blocks are found by structure' });
}

/** `[[balance layers], smooth layer]`, or the same by name. */
function mappings(r: Reader, draft: Draft, edges: (e: Expr) => void): boolean {
  const list = r.take('mappings');
  if (!isList(list)) return false;
  const words = (d: Data | undefined) => (isList(d) ? d : [d]).filter((x): x is string => typeof x === 'string');
  for (const m of list) {
    const [balance, smooth] = isList(m)
      ? [words(m[0]), words(m[1])]
      : isMapping(m)
        ? [words(m.get('balance_layers')), words(m.get('smooth_layer'))]
        : [[], []];
    const to = targets(balance, r.at('mappings'), draft);
    const from = targets(smooth, r.at('mappings'), draft);
    if (to.length && from.length) edges(edge(or(...from), or(...to)));
    else draft.lost(r.at('mappings'), m, 'the two ends of an edge are needed');
  }
  return true;
}

function smoothQuant(r: Reader, draft: Draft, body: Expr): void {
  draft.data();
  const alpha = r.number('smoothing_strength') ?? 0.5;
  const add = (on: Expr) => draft.add(transform('smooth', on, { alpha }));
  if (!mappings(r, draft, add)) add(edge(name('norm'), body));
  const ignore = r.words('ignore');
  if (ignore?.length) draft.lost(r.at('ignore'), [...ignore], 'name the edges of `transform smooth` yourself');
  r.rest(draft, { num_calibration_steps: 'give `samples` to calibrate', calibration_function: 'code of the source' });
}

function awq(r: Reader, draft: Draft, body: Expr): void {
  draft.data();
  const law = call('awq', [], { grid: r.int(1, 1000, 'n_grid') });
  const add = (on: Expr) => draft.add(transform('scale', on, { law }));
  if (!mappings(r, draft, add)) {
    add(edge(role('attention.v'), role('attention.output')));
    add(edge(role('mlp.up'), role('mlp.down')));
    add(edge(name('norm'), body));
  }
  quantized(r, draft);
  r.rest(draft, {
    duo_scaling: 'the law weighs activations alone',
    offload_device: 'how memory is used',
    sequential_targets: 'blocks are found by structure',
  });
}

function sparse(r: Reader, draft: Draft, criterion: string): void {
  const ignore = ignored(r, draft);
  const chosen = targets(r.words('targets') ?? ['Linear'], r.at('targets'), draft);
  if (chosen.length === 0) {
    r.rest(draft);
    return;
  }
  const body = draft.let('pruned', without(or(...chosen), ignore));
  const [n = 0, m = 0] = (r.word('mask_structure') ?? '0:0').split(':').map(Number);
  const density = 1 - (r.number('sparsity', 'final_sparsity') ?? 0.5);
  if (criterion !== 'magnitude') draft.data();
  draft.add(prune(body, n > 0 && m > n ? call('nm', [ratio(n, m)]) : call('sparse', [number(Number(density.toFixed(6)))]), { criterion }));
  r.rest(draft, { block_size: 'a matter of speed', dampening_frac: 'the criterion has no damping of its own' });
}

function spin(r: Reader, draft: Draft): void {
  const rotations = r.words('rotations') ?? ['R1', 'R2'];
  const kind = r.word('transform_type') ?? 'hadamard';
  const matrix = kind === 'random-matrix' ? 'orthogonal' : 'hadamard';
  for (const x of rotations) {
    if (x === 'R1') draft.add(transform('rotate', name('residual'), { matrix }));
    else if (x === 'R2') draft.add(transform('rotate', edge(role('attention.v'), role('attention.output')), { matrix, per: 'head' }));
    else if (x === 'R4') draft.add(transform('rotate', edge(role('mlp.up'), role('mlp.down')), { matrix, online: true }));
    else draft.lost(r.at('rotations'), x, 'a rotation of keys in the cache');
  }
  r.rest(draft, { transform_block_size: 'a rotation has the width of what it turns' });
}

/** Modifiers by name. `body` is what the modifiers of this recipe quantize. */
const modifiers: Readonly<Record<string, (r: Reader, draft: Draft, body: Expr) => void>> = {
  QuantizationModifier(r, draft) {
    quantized(r, draft);
    r.rest(draft, { disable_quantization_observer_epoch: 'training' });
  },
  GPTQModifier: gptq,
  SmoothQuantModifier: smoothQuant,
  AWQModifier: awq,
  SparseGPTModifier: (r, draft) => sparse(r, draft, 'hessian'),
  WandaPruningModifier: (r, draft) => sparse(r, draft, 'activation'),
  MagnitudePruningModifier: (r, draft) => sparse(r, draft, 'magnitude'),
  SpinQuantModifier: spin,
};

/** The modules that are quantized, known before the first transform: smoothing spares what is ignored. */
function bodyOf(all: readonly (readonly [string, Reader])[], draft: Draft): Expr {
  const quantizing = all.filter(([, r]) => r.has('ignore') && (r.has('scheme') || r.has('config_groups')));
  const entries = quantizing.flatMap(([, r]) => {
    const list = r.peek('ignore');
    return (isList(list) ? list : [list]).filter((x): x is string => typeof x === 'string');
  });
  const shared = [...new Set(entries)].filter((e) =>
    quantizing.every(([, r]) => JSON.stringify(r.peek('ignore')).includes(JSON.stringify(e))),
  );
  const skip = targets(shared, 'ignore', draft);
  return skip.length ? draft.let('body', without(name('linear'), skip)) : name('linear');
}

/** Modifiers of a stage: a mapping of names, or a list of mappings. */
function modifiersOf(d: Data, path: string): (readonly [string, Reader])[] {
  const entries = isList(d) ? d.filter(isMapping).flatMap((m) => [...m]) : isMapping(d) ? [...d] : [];
  return entries.map(([name, value]) => [name, new Reader(value, `${path}.${name}`)] as const);
}

export function importLlmCompressor(data: Data, draft: Draft): void {
  const all: (readonly [string, Reader])[] = [];
  const collect = (d: ReadonlyMap<string, Data>, path: string): void => {
    for (const [key, value] of d) {
      const at = path ? `${path}.${key}` : key;
      if (/Modifier$/.test(key)) all.push([key, new Reader(value, at)]);
      else if (/modifiers$/.test(key)) all.push(...modifiersOf(value, at));
      else if (isMapping(value) && /stage/i.test(key)) collect(value, at);
      else draft.lost(at, value, key === 'run_type' ? 'qc has one run' : undefined);
    }
  };
  if (isMapping(data)) collect(data, '');
  else all.push(...modifiersOf(data, ''));
  const body = all.some(([n]) => /Smooth|AWQ/.test(n)) ? bodyOf(all, draft) : name('linear');
  for (const [kind, r] of all) {
    const read = Object.hasOwn(modifiers, kind) ? modifiers[kind] : undefined;
    if (!read) {
      draft.lost(r.path, undefined, 'a modifier without an equal');
      r.rest(draft);
    } else {
      draft.part();
      read(r, draft, body);
    }
  }
}
