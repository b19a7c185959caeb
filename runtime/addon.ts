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

interface Place {
  readonly addon: string;
  readonly library: string;
}

/** The package of this platform; or why there is none. */
async function installed(packageFolder: string): Promise<Place | string> {
  const [{ createRequire }, { dirname, join }] = await Promise.all([import('node:module'), import('node:path')]);
  const { platform, arch } = process;
  const here = thisPlatform();
  if (!here) return `there is no native package for ${platform} ${arch}`;
  try {
    const folder = dirname(createRequire(join(packageFolder, 'package.json')).resolve(`${packageOf(here)}/package.json`));
    return { addon: join(folder, 'qc.node'), library: join(folder, `qc-ops.${libraryEnding(platform)}`) };
  } catch {
    return `the package ${packageOf(here)} is not installed`;
  }
}

/** The addon of this machine, or why there is none. Never throws. QC_NATIVE=off: as if there were none; QC_NATIVE=path: that one. */
export async function findAddon(packageFolder: string): Promise<Found | string> {
  const other = process.env['QC_NATIVE'];
  if (other === 'off') return 'QC_NATIVE=off';
  if (other) return (await loaded({ addon: other, library: '' }, packageFolder)) ?? `${other} is not there`;
  const { platform, arch } = process;
  const native = `${packageFolder}/runtime/native`;
  const beside = {
    addon: `${native}/qc.${platform}-${arch}.node`,
    library: `${native}/qc-ops.${platform}-${arch}.${libraryEnding(platform)}`,
  };
  const first = await loaded(beside, packageFolder);
  if (typeof first === 'object') return first;
  const package_ = await installed(packageFolder);
  const second = typeof package_ === 'string' ? package_ : await loaded(package_, packageFolder);
  if (typeof second === 'object') return second;
  return [second, first].filter(Boolean).join('; ') || `${beside.addon} is not there`;
}

/** The addon at a place, why it is of no use, or undefined where there is none. */
async function loaded({ addon: path, library }: Place, packageFolder: string): Promise<Found | string | undefined> {
  const [{ existsSync, readFileSync }, { createRequire }] = await Promise.all([import('node:fs'), import('node:module')]);
  if (!existsSync(path)) return undefined;
  try {
    const addon = createRequire(import.meta.url)(path) as Addon;
    const { version } = JSON.parse(readFileSync(`${packageFolder}/package.json`, 'utf8')) as { version: string };
    if (addon.version?.() !== version) return `${path} is of version ${addon.version?.() ?? 'unknown'}, qrecipe is ${version}`;
    return { addon, path, ...(existsSync(library) ? { library } : {}) };
  } catch (error) {
    return `${path}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
  }
}

/** The library that onnxruntime-node itself has loaded. */
export async function runtimeLibrary(): Promise<string> {
  const [{ createRequire }, { dirname, join }] = await Promise.all([import('node:module'), import('node:path')]);
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const file = { win32: 'onnxruntime.dll', darwin: 'libonnxruntime.1.dylib' }[process.platform as string] ?? 'libonnxruntime.so.1';
  return join(folder, 'bin/napi-v6', process.platform, process.arch, file);
}
