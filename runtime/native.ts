/** The Node addon as an engine: finds the built library beside the package, loads it. */
import type { Engine } from './engine.ts';

/** What runtime/native/node exports. */
interface Addon {
  isa(name: string): string;
  call(
    isa: string,
    op: number,
    numbers: number[],
    file: { path: string; at: number; len: number } | undefined,
    inputs: Uint8Array[],
    outputs: Uint8Array[],
  ): Promise<number[]>;
}

/** The engine of this machine's addon, or why there is none. Never throws. */
export async function nativeEngine(packageFolder: string): Promise<Engine | string> {
  const path = `${packageFolder}/runtime/native/qc.${process.platform}-${process.arch}.node`;
  try {
    const { createRequire } = await import('node:module');
    const addon = createRequire(import.meta.url)(path) as Addon;
    const isa = addon.isa(process.env['QC_ISA'] ?? '');
    return {
      kind: 'native',
      isa,
      maps: true,
      call: (op, numbers, file, inputs, outputs) => addon.call(isa, op, [...numbers], file, [...inputs], [...outputs]),
      close: () => {},
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
