/** The Node addon as an engine of the solvers. */
import { findAddon } from './addon.ts';
import type { Engine } from './engine.ts';

/** The engine of this machine's addon, or why there is none. Never throws. */
export async function nativeEngine(packageFolder: string): Promise<Engine | string> {
  const found = await findAddon(packageFolder);
  if (typeof found === 'string') return found;
  const { addon } = found;
  try {
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
