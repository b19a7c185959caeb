/** What the playground does, without a page: the compiler over a browser host. Runs in a worker; needs no DOM, so node runs it too. */

import type { Files } from '../../compiler/browser/files.ts';
import { browserHost } from '../../compiler/browser/host.ts';
import { type BundledPackage, bundledResolver } from '../../compiler/browser/resolve.ts';
import { type CompileResult, compile, type Event } from '../../compiler/compile.ts';
import type { Crunch } from '../../compiler/crunch.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { compareModels, type Measured } from '../../compiler/evaluate/compare.ts';
import { type Explanation, explain } from '../../compiler/explain.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Host, Session } from '../../compiler/host.ts';
import { inspect, inspectionText } from '../../compiler/inspect.ts';
import { lazyCrunch } from '../../compiler/node/lazy.ts';
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';
import { loadCrunch } from '../../runtime/crunch.ts';
import { type Completions, type Hover, Language, type Mistake, words } from './features.ts';

export interface EngineOptions {
  /** The bytes of runtime/wasm/qc.wasm; asked for once, when numbers are computed. */
  readonly wasm: () => Promise<Uint8Array>;
  readonly packages: readonly BundledPackage[];
  /** Opens a session; asked for only where a recipe calibrates or models are compared. */
  readonly session: (model: Uint8Array, options: { readonly threads?: number }) => Promise<Session>;
}

export interface OpenedModel {
  readonly bytes: number;
  readonly inspection: string;
  /** Is there calibration data beside it? */
  readonly data: boolean;
}

/** What is left of a compile when only plain data may pass. `files` are those written, by name, with their SHA-256. */
export interface Compiled
  extends Pick<
    CompileResult,
    'ok' | 'recipe' | 'target' | 'bytes' | 'coverage' | 'requires' | 'metrics' | 'warnings' | 'binding' | 'seconds'
  > {
  readonly files: readonly { readonly name: string; readonly blob: Blob; readonly sha256: string }[];
}

/** Folders of the files that a tab holds. */
const MODEL = 'model';
const DATA = 'data';
const OUTPUT = 'output';
/** The name under which the text of the editor is known; the command line gives the same bytes for a file of this name. */
export const RECIPE = 'recipe.qrecipe';

export class Engine {
  readonly #files: Files = new Map();
  readonly #options: EngineOptions;
  readonly #crunch: Crunch;
  readonly #language: Language;
  #model: string | undefined;
  #output: string | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#language = new Language(RECIPE, options.packages);
    this.#crunch = lazyCrunch(async () => loadCrunch({ prefer: 'wasm', wasm: await options.wasm() }), 'wasm');
  }

  words = words;
  hover = (text: string, at: number): Hover | undefined => this.#language.hover(text, at);
  complete = (text: string, at: number): Completions => this.#language.complete(text, at);
  /** Every mistake of the text and, where a model is open, of its plan. */
  check = (text: string): readonly Mistake[] => this.#language.check(text);

  /** The canonical text. Errors: syntax. */
  format(text: string): string {
    return print(parse(text, RECIPE).ast);
  }

  /**
   * Opens a model: one `.onnx` among the files, external data beside it, `.npz` and `.npy` as its calibration data. Replaces the last one.
   * Errors: those of loading; `not-onnx` where there is none or several.
   */
  async open(files: readonly { readonly name: string; readonly blob: Blob }[], model: string): Promise<OpenedModel> {
    this.#files.clear();
    this.#model = undefined;
    this.#language.bind(undefined);
    this.bring(files);
    const path = `${MODEL}/${model}`;
    const loaded = await loadModel({ open: this.#host().open }, path);
    this.#model = path;
    const source = await openModel(this.#host(), path);
    await source.close();
    this.#language.bind({ name: model, model: source.model, sites: source.sites, bytes: source.bytes });
    return { bytes: loaded.bytes, inspection: inspectionText(inspect(loaded.model), { misses: true }), data: this.#hasData() };
  }

  /** More files beside the open model. */
  bring(files: readonly { readonly name: string; readonly blob: Blob }[]): void {
    for (const { name, blob } of files) this.#files.set(`${/\.np[yz]$/.test(name) ? DATA : MODEL}/${name}`, blob);
  }

  /** What the recipe would do to the open model. */
  async plan(text: string, target?: string): Promise<Explanation> {
    return explain(await this.#request(text, target));
  }

  /** Compiles the open model. The result is kept for `compare`. */
  async compile(text: string, target: string | undefined, onEvent: (e: Event) => void): Promise<Compiled> {
    const request = await this.#request(text, target);
    const name = `${request.model.slice(MODEL.length + 1).replace(/\.onnx$/, '')}.quantized.onnx`;
    for (const path of [...this.#files.keys()].filter((p) => p.startsWith(`${OUTPUT}/`))) this.#files.delete(path);
    const {
      ok,
      recipe,
      target: at,
      bytes,
      coverage,
      requires,
      metrics,
      warnings,
      binding,
      seconds,
      files,
    } = await compile({
      ...request,
      output: `${OUTPUT}/${name}`,
      onEvent,
      ...(this.#hasData() ? { data: { calib: DATA, eval: DATA } } : {}),
    });
    this.#output = ok ? `${OUTPUT}/${name}` : undefined;
    const written = await Promise.all(files.map(async ({ path }) => this.#written(path)));
    return { ok, recipe, target: at, bytes, coverage, requires, metrics, warnings, binding, seconds, files: written };
  }

  /** The compiled model against the float one on the data beside it: every metric. */
  async compare(samples?: number): Promise<readonly Measured[]> {
    if (this.#model === undefined || this.#output === undefined) throw new Error('nothing was compiled yet');
    return compareModels(this.#host(), this.#model, this.#output, DATA, samples === undefined ? {} : { samples });
  }

  async #request(text: string, target: string | undefined) {
    if (this.#model === undefined) throw new Error('no model is open');
    const { packages } = this.#options;
    return {
      host: this.#host(),
      model: this.#model,
      recipe: RECIPE,
      text,
      resolve: bundledResolver(packages),
      packages,
      ...(target === undefined ? {} : { target }),
    };
  }

  #host(): Host {
    return browserHost({ files: this.#files, crunch: this.#crunch, session: this.#options.session });
  }

  #hasData = (): boolean => [...this.#files.keys()].some((p) => p.startsWith(`${DATA}/`));

  async #written(path: string) {
    const blob = this.#files.get(path)!;
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
    return { name: path.slice(OUTPUT.length + 1), blob, sha256: [...hash].map((b) => b.toString(16).padStart(2, '0')).join('') };
  }
}
