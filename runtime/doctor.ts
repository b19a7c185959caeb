/** What this machine runs qc with: instruction sets, libraries, which operator runs on which kernel, and what is slower without them. */
import { findAddon, runtimeLibrary } from './addon.ts';
import { loadCrunch, packageFolder } from './crunch.ts';
import { packageOf, thisPlatform } from './platforms.ts';

export interface Findings {
  readonly version: string;
  readonly node: { readonly version: string; readonly path: string };
  readonly machine: {
    readonly platform: string;
    readonly arch: string;
    readonly cpu: string;
    /** Threads that work at the same time. */
    readonly threads: number;
    /** Bytes. */
    readonly memory: number;
  };
  readonly onnxruntime: { readonly version?: string; readonly library?: string; readonly error?: string };
  readonly native: {
    /** The package that would bring it to this machine. */
    readonly package?: string;
    readonly path?: string;
    readonly version?: string;
    /** For `register_custom_ops_library` of other ONNX Runtimes. */
    readonly library?: string;
    readonly error?: string;
  };
  readonly wasm: { readonly path: string; readonly bytes?: number };
  /** What the compiler computes with. */
  readonly compiler: { readonly kind?: 'native' | 'wasm'; readonly isa?: string; readonly error?: string };
  readonly isa: {
    readonly sets: readonly { readonly name: string; readonly available: boolean }[];
    readonly chosen?: string;
    readonly forced?: string;
  };
  readonly operators: readonly { readonly name: string; readonly variant: string; readonly fallback: boolean }[];
  /** What does not run as fast as it could, and what to do. */
  readonly slower: readonly { readonly what: string; readonly why: string; readonly hint: string }[];
  /** Can models be compiled and run at all? */
  readonly ok: boolean;
}

const message = (e: unknown): string => (e instanceof Error ? e.message.split('\n')[0]! : String(e));

/** Looks at this machine; changes nothing. Never throws. */
export async function diagnose(): Promise<Findings> {
  const [{ existsSync, readFileSync, statSync }, os, { createRequire }] = await Promise.all([
    import('node:fs'),
    import('node:os'),
    import('node:module'),
  ]);
  const folder = await packageFolder();
  const version = (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version: string }).version;
  const onnxruntime: { version?: string; library?: string; error?: string } = {};
  try {
    const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
    Object.assign(onnxruntime, { version: ort.env.versions.node ?? ort.env.versions.common, library: await runtimeLibrary() });
  } catch (error) {
    onnxruntime.error = message(error);
  }
  const found = await findAddon(folder);
  const here = thisPlatform();
  const addon = typeof found === 'string' ? undefined : found.addon;
  const sets = addon?.instructionSets() ?? [];
  const forced = process.env['QC_ISA'] || undefined;
  const best = sets.findLast((s) => s.available)?.name;
  let operators: Findings['operators'] = [];
  let isaError: string | undefined;
  try {
    operators = (addon?.operators('') ?? []).map((o) => ({
      ...o,
      fallback: o.variant === 'scalar' && best !== 'scalar' && forced !== 'scalar',
    }));
  } catch (error) {
    isaError = message(error);
  }
  const crunch = await loadCrunch().then(
    (c) => ({ kind: c.kind, isa: c.isa }),
    (error) => ({ error: message(error) }),
  );
  const wasm = `${folder}/runtime/wasm/qc.wasm`;
  const slower: { what: string; why: string; hint: string }[] = [];
  if (typeof found === 'string') {
    const hint = here
      ? `npm install ${packageOf(here)}@${version}, or from a checkout npm run build:native (needs cargo)`
      : 'npm run build:native from a checkout builds it, where cargo is';
    slower.push(
      { what: 'compiling', why: `the heavy loops run in wasm, on one thread: ${found}`, hint },
      { what: 'running models of target native', why: 'operators of qc.v1 run through their bodies of standard operators', hint },
    );
  }
  if (forced !== undefined && best !== undefined && forced !== best && isaError === undefined)
    slower.push({ what: 'operators of qc.v1', why: `QC_ISA forces ${forced}; this machine has ${best}`, hint: 'unset QC_ISA' });
  for (const o of operators.filter((o) => o.fallback))
    slower.push({
      what: o.name,
      why: `its kernel has no ${best} variant`,
      hint: 'nothing to be done on this machine; it still computes the same',
    });
  return {
    version,
    node: { version: process.version, path: process.execPath },
    machine: {
      platform: here?.name ?? `${process.platform}-${process.arch}`,
      arch: process.arch,
      cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
      threads: os.availableParallelism(),
      memory: os.totalmem(),
    },
    onnxruntime,
    native: {
      ...(here ? { package: packageOf(here) } : {}),
      ...(typeof found === 'string'
        ? { error: found }
        : { path: found.path, version: found.addon.version(), ...(found.library ? { library: found.library } : {}) }),
    },
    wasm: { path: wasm, ...(existsSync(wasm) ? { bytes: statSync(wasm).size } : {}) },
    compiler: crunch,
    isa: {
      sets,
      ...(isaError === undefined && best !== undefined ? { chosen: forced ?? best } : {}),
      ...(forced === undefined ? {} : { forced }),
    },
    operators,
    slower,
    ok: onnxruntime.error === undefined && !('error' in crunch) && isaError === undefined,
  };
}
