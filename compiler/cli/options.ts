/** Options that compile and explain share, as the driver wants them. */
import { realpath } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';
import { bindingOf } from '../driver/metadata.ts';
import { readRecipe } from '../driver/recipe.ts';
import type { PlanOptions } from '../driver/types.ts';
import { loadModel } from '../graph/load.ts';
import type { Host } from '../host.ts';
import { closureOf, lockedOf } from '../node/closure.ts';
import type { Binding } from '../recipe.ts';
import type { Bindings } from './bindings.ts';
import { readText } from './files.ts';
import type { Io } from './io.ts';

/** `file.qrecipe#name` → its file and, where given, the name. */
export function splitRecipe(spec: string): { file: string; name?: string } {
  const at = spec.lastIndexOf('#');
  return at < 1 ? { file: spec } : { file: spec.slice(0, at), name: spec.slice(at + 1) };
}

/** `models/llama.onnx` and `w4.qrecipe` → `llama.w4.onnx`. */
export function outputName(model: string, recipe: string): string {
  const { file, name } = splitRecipe(recipe);
  return `${basename(model).replace(/\.onnx$/, '')}.${name ?? basename(file).replace(/\.qrecipe$/, '')}.onnx`;
}

/** Text of the command line as a value of the language: a number, yes or no, else a string. */
export function value(text: string): number | string | boolean {
  if (/^(yes|true)$/.test(text)) return true;
  if (/^(no|false)$/.test(text)) return false;
  const n = Number(text);
  return text.trim() !== '' && Number.isFinite(n) ? n : text;
}

/** Reads the recipe and puts the shared options together. */
export async function planOptions(
  io: Io,
  host: Host,
  model: string,
  recipe: string,
  o: { readonly target?: string; readonly param?: Bindings },
): Promise<PlanOptions> {
  const { file } = splitRecipe(recipe);
  const text = await readText(io, file);
  const closure = closureOf({ path: file, text }, io.cwd);
  return {
    host,
    model: resolve(io.cwd, model),
    recipe,
    text,
    resolve: closure.resolve,
    packages: lockedOf(closure.packages),
    ...(o.param ? { params: Object.fromEntries(Object.entries(o.param).map(([k, v]) => [k, value(v)])) } : {}),
    ...(o.target === undefined ? {} : { target: o.target }),
  };
}

/** What the searches of an earlier compile chose: out of the metadata of its output. */
export async function replayed(host: Host, path: string): Promise<Binding> {
  const { model } = await loadModel(host, path);
  return (
    bindingOf(model) ?? fail('replay-none', `${path} was not made by qc: it stores no search results`, 'compile once without --replay')
  );
}

/** A compile that replaced its own input could not be repeated. */
export async function refuseInput(output: string, model: string): Promise<void> {
  const [a, b] = await Promise.all([output, model].map((path) => realpath(path).catch(() => undefined)));
  if (a !== undefined && a === b) fail('output-is-input', `${output} is the model that is compiled`, 'write another file with -o');
}

/** A binding that nothing reads is a slip: the recipe names other data. */
export async function refuseUnread(options: PlanOptions, data: Bindings): Promise<void> {
  const { program } = await readRecipe(options);
  const read = new Set<string>();
  const walk = (x: unknown): void => {
    if (x === null || typeof x !== 'object') return;
    const e = x as { kind?: unknown; of?: unknown; name?: unknown; args?: Readonly<Record<string, { value?: unknown }>> };
    if (e.kind === 'call' && e.of === 'source')
      for (const a of Object.values(e.args ?? {})) if (typeof a.value === 'string') read.add(a.value);
    for (const inner of x instanceof Map ? x.values() : Object.values(x)) walk(inner);
  };
  walk(program.recipes);
  walk(program.evaluations);
  const unread = Object.keys(data).find((name) => !read.has(name));
  if (unread === undefined) return;
  const known = [...read].map((n) => `data("${n}")`).join(', ');
  fail(
    'data-unread',
    `--data ${unread}=…: the recipe reads no data("${unread}")`,
    known ? `it reads ${known}` : 'it reads no data at all: leave --data out',
  );
}
