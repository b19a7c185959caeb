/** Finds and loads the native addon: beside a checkout, else in the package of this platform. */
import type { NativeSession, SessionSettings } from './handler.ts';
import { libraryEnding, packageOf, thisPlatform } from './platforms.ts';

/** What runtime/native/node exports. */
export interface Addon {
  version(): string;
  /** The solvers' instruction set for a name of the kernels' (empty: the best). Throws `bad-isa: …`. */
  isa(name: string): string;
  instructionSets(): { name: string; available: boolean }[];
  /** Operators of qc.v1 and the variant of their kernel that runs under a set (empty: the one in force). */
  operators(isa: string): { name: string; variant: string }[];
  call(
    isa: string,
    op: number,
    numbers: number[],
    file: { path: string; at: number; len: number } | undefined,
    inputs: Uint8Array[],
    outputs: Uint8Array[],
  ): Promise<number[]>;
  openSession(runtime: string, model: string | Uint8Array, options: SessionSettings): Promise<NativeSession>;
}

export interface Found {
  readonly addon: Addon;
  /** Path of the addon. */
  readonly path: string;
  /** Path of the library of operators for other ONNX Runtimes, where it is. */
  readonly library?: string;
}

/** Where the addon may be, best first; `why`: what cannot even be looked for. */
async function candidates(packageFolder: string): Promise<{ paths: { addon: string; library: string }[]; why?: string }> {
  const [{ createRequire }, { dirname, join }] = await Promise.all([import('node:module'), import('node:path')]);
  const { platform, arch } = process;
  const ending = libraryEnding(platform);
  const native = join(packageFolder, 'runtime/native');
  const other = process.env['QC_NATIVE'];
  if (other) return { paths: [{ addon: other, library: '' }] };
  const paths = [{ addon: join(native, `qc.${platform}-${arch}.node`), library: join(native, `qc-ops.${platform}-${arch}.${ending}`) }];
  const here = thisPlatform();
  if (!here) return { paths, why: `there is no native package for ${platform} ${arch}` };
  try {
    const folder = dirname(createRequire(join(packageFolder, 'package.json')).resolve(`${packageOf(here)}/package.json`));
    paths.push({ addon: join(folder, 'qc.node'), library: join(folder, `qc-ops.${ending}`) });
    return { paths };
  } catch {
    return { paths, why: `the package ${packageOf(here)} is not installed` };
  }
}

/** The addon of this machine, or why there is none. Never throws. QC_NATIVE=off: as if there were none; QC_NATIVE=path: that one. */
export async function findAddon(packageFolder: string): Promise<Found | string> {
  if (process.env['QC_NATIVE'] === 'off') return 'QC_NATIVE=off';
  const [{ existsSync, readFileSync }, { createRequire }] = await Promise.all([import('node:fs'), import('node:module')]);
  const require = createRequire(import.meta.url);
  const { paths, why } = await candidates(packageFolder);
  const reasons = why ? [why] : [];
  for (const { addon: path, library } of paths) {
    if (!existsSync(path)) continue;
    try {
      const addon = require(path) as Addon;
      const { version } = JSON.parse(readFileSync(`${packageFolder}/package.json`, 'utf8')) as { version: string };
      if (addon.version?.() !== version) reasons.push(`${path} is of version ${addon.version?.() ?? 'unknown'}, qrecipe is ${version}`);
      else return { addon, path, ...(library && existsSync(library) ? { library } : {}) };
    } catch (error) {
      reasons.push(`${path}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  return reasons.join('; ') || `${paths[0]!.addon} is not there`;
}

/** The library that onnxruntime-node itself has loaded. */
export async function runtimeLibrary(): Promise<string> {
  const [{ createRequire }, { dirname, join }] = await Promise.all([import('node:module'), import('node:path')]);
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const file = { win32: 'onnxruntime.dll', darwin: 'libonnxruntime.1.dylib' }[process.platform as string] ?? 'libonnxruntime.so.1';
  return join(folder, 'bin/napi-v6', process.platform, process.arch, file);
}
