/** `importRecipe`: configurations of other tools → a canonical recipe, with a comment on everything that has no equal. */
import { fail } from '../grammar/diagnostics.ts';
import { parse } from '../grammar/parser.ts';
import { check } from './check/check.ts';
import { importAiEdge } from './import/ai-edge.ts';
import { importAwq } from './import/awq.ts';
import { importCompressedTensors } from './import/compressed-tensors.ts';
import { type Data, isList, isMapping, readJson, readYaml } from './import/data.ts';
import { Draft } from './import/draft.ts';
import { importGptq } from './import/gptq.ts';
import { importFp8 } from './import/hf-fp8.ts';
import { importLlamaCpp } from './import/llama-cpp.ts';
import { importLlmCompressor } from './import/llm-compressor.ts';
import { importOlive } from './import/olive.ts';
import { importOnnxruntime } from './import/onnxruntime.ts';

interface Importer {
  readonly what: string;
  /** Keys that only such a configuration has. */
  is(d: Data): boolean;
  read(d: Data, draft: Draft): void;
}
const keysOf = (d: Data): readonly string[] => (isMapping(d) ? [...d.keys()] : []);
const hasKey = (d: Data, ...keys: string[]): boolean => keysOf(d).some((k) => keys.includes(k));
const method = (d: Data): Data | undefined => (isMapping(d) ? d.get('quant_method') : undefined);

/** What `--from` takes, in the order of the reference. */
const importers: Readonly<Record<string, Importer>> = {
  'llm-compressor': {
    what: 'llm-compressor recipe (YAML)',
    is: (d) =>
      isList(d) ? d.some((x) => keysOf(x).some((k) => /Modifier$/.test(k))) : keysOf(d).some((k) => /(Modifier|modifiers|_stage)$/.test(k)),
    read: importLlmCompressor,
  },
  'compressed-tensors': {
    what: 'quantization_config of compressed-tensors',
    is: (d) => hasKey(d, 'config_groups') || method(d) === 'compressed-tensors',
    read: importCompressedTensors,
  },
  gptq: {
    what: 'quantization_config of GPTQModel or AutoGPTQ',
    is: (d) =>
      method(d) === 'gptq' || (method(d) === undefined && hasKey(d, 'bits') && hasKey(d, 'desc_act', 'damp_percent', 'static_groups')),
    read: importGptq,
  },
  awq: {
    what: 'quantization_config of AutoAWQ',
    is: (d) => method(d) === 'awq' || (method(d) === undefined && hasKey(d, 'w_bit', 'q_group_size')),
    read: importAwq,
  },
  fp8: {
    what: 'quantization_config of fp8 checkpoints',
    is: (d) => method(d) === 'fp8' || (method(d) === undefined && hasKey(d, 'weight_block_size')),
    read: importFp8,
  },
  'ai-edge': {
    what: 'ai-edge-quantizer recipe (JSON)',
    is: (d) => isList(d) && d.some((x) => hasKey(x, 'algorithm_key')),
    read: importAiEdge,
  },
  olive: { what: 'Olive workflow (JSON)', is: (d) => isMapping(d) && isMapping(d.get('passes')), read: importOlive },
  onnxruntime: {
    what: 'arguments of onnxruntime.quantization (JSON)',
    is: (d) =>
      hasKey(
        d,
        'weight_type',
        'activation_type',
        'quant_format',
        'op_types_to_quantize',
        'calibrate_method',
        'is_symmetric',
        'per_model_config',
        'weights_dtype',
      ) ||
      (isMapping(d) && isMapping(d.get('quantization')) && hasKey(d.get('quantization') as Data, 'is_static', 'weights_dtype')),
    read: importOnnxruntime,
  },
  'llama.cpp': { what: 'tensor types of llama.cpp', is: () => false, read: () => undefined },
};
export const importKinds = Object.keys(importers);

/** Lines of llama.cpp: no braces, and options or `name=type` pairs. */
const isTensorTypes = (text: string): boolean =>
  /(^|\s)--(tensor-type|output-tensor-type|token-embedding-type|leave-output-tensor|pure)\b/.test(text) ||
  (text.trim() !== '' &&
    text.split(/\r?\n/).every((l) => /^\s*(#.*)?$/.test(l) || /^\s*[^\s={}:]+=(i?q\d\w*|f16|f32|bf16|mxfp4|tq\d_\d)\s*$/i.test(l)));

/** A checkpoint's config.json holds its quantization among other things. */
function unwrapped(d: Data): Data {
  if (!isMapping(d)) return d;
  const inner =
    d.get('quantization_config') ??
    (isMapping(d.get('text_config')) ? (d.get('text_config') as ReadonlyMap<string, Data>).get('quantization_config') : undefined);
  return isMapping(inner) ? inner : d;
}

/** The parsed text and its kind. Errors: import-unknown-kind, import-ambiguous, import-unrecognized, import-syntax, import-too-large, import-too-deep. */
function detect(text: string, file: string, from: string | undefined): { kind: string; data: Data } {
  if (from !== undefined && !Object.hasOwn(importers, from))
    fail('import-unknown-kind', `\`${from}\` is no kind of configuration`, `Kinds are ${importKinds.join(', ')}.`);
  if (from === 'llama.cpp' || (from === undefined && isTensorTypes(text))) return { kind: 'llama.cpp', data: null };
  const json = /^\s*(\/[/*]|[[{])/.test(text.replace(/^\uFEFF/, '')) && from !== 'llm-compressor';
  const whole = json ? readJson(text, file) : readYaml(text, file);
  const data = unwrapped(whole);
  if (from !== undefined) return { kind: from, data };
  const found = Object.entries(importers).filter(([, i]) => i.is(data));
  const [first] = found;
  if (found.length > 1)
    fail(
      'import-ambiguous',
      `${file} could be ${found.map(([, i]) => i.what).join(', or ')}`,
      `Say which: --from ${found.map(([k]) => k).join(' or --from ')}.`,
    );
  if (!first) {
    const m = method(data);
    const unknown = typeof m === 'string' ? ` (its quant_method is "${m.slice(0, 40)}")` : '';
    return fail(
      'import-unrecognized',
      `${file} is no configuration that qc knows${unknown}`,
      `Known are: ${Object.values(importers)
        .map((i) => i.what)
        .join('; ')}. --from says which it is.`,
    );
  }
  return { kind: first[0], data };
}

export interface Imported {
  readonly kind: string;
  /** Canonical text of the recipe; it checks, but for names that are planned. */
  readonly text: string;
  /** Names that the language knows and this version does not build. */
  readonly planned: readonly string[];
}
export interface ImportOptions {
  /** How the file is called in comments and messages. */
  readonly file: string;
  /** Name of the recipe. */
  readonly name: string;
  /** A kind of `importKinds`; found out if it is not given. */
  readonly from?: string;
}

/**
 * Reads a configuration of another tool. What the language cannot say, and what the importer does not know, stands in comments of the recipe.
 * @throws QcError import-unknown-kind, import-ambiguous, import-unrecognized, import-syntax, import-too-large, import-too-deep, import-empty
 */
export function importRecipe(text: string, options: ImportOptions): Imported {
  const { kind, data } = detect(text, options.file, options.from);
  const draft = new Draft();
  const importer = importers[kind] as Importer;
  if (kind === 'llama.cpp') importLlamaCpp(text, draft);
  else importer.read(data, draft);
  if (draft.empty)
    fail('import-empty', `${options.file} says nothing about numbers that qc could take over`, `It was read as: ${importer.what}.`);
  const from = `${options.file} (${importer.what})`;
  const plain = draft.text(options.name, from);
  const [marks, gone, planned] = verdicts(plain);
  return { kind, text: marks.size || gone.size ? draft.text(options.name, from, marks, gone) : plain, planned };
}

/** What the checker says of each statement: planned names become comments, statements that are wrong (numbers out of range) become losses. */
function verdicts(text: string): [marks: Map<number, string>, gone: Map<number, string>, planned: string[]] {
  const marks = new Map<number, string>();
  const gone = new Map<number, string>();
  const planned = new Set<string>();
  const { diagnostics } = check({ path: 'import', text });
  const { ast } = parse(text, 'import');
  // The first statement is the `doc` line that every import has.
  const body = ast.items.flatMap((i) => (i.kind === 'recipe' ? i.body : [])).slice(1);
  for (const d of diagnostics.filter((x) => x.severity === 'error')) {
    const at = d.span ? body.findIndex((s) => s.span.start <= d.span!.start && d.span!.start < s.span.end) : -1;
    if (at < 0) throw new Error(`the imported recipe is wrong: ${d.code}: ${d.message}`);
    if (d.code === 'planned') {
      const name = /`([^`]+)`/.exec(d.message)?.[1] ?? '';
      planned.add(name);
      marks.set(at, `Planned: the language knows \`${name}\`, this version does not build it; compiling with it is refused.`);
    } else gone.set(at, d.message);
  }
  return [marks, gone, [...planned]];
}
