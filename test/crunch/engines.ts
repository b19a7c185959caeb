/** Every engine that this machine has: native scalar, AVX2 and AVX-512, and wasm; with helpers for the tests. */
import { existsSync } from 'node:fs';
import type { Crunch } from '../../compiler/crunch.ts';
import { loadCrunch } from '../../runtime/crunch.ts';

/** [name, engine] pairs; wasm is always among them. */
export async function engines(): Promise<readonly [string, Crunch][]> {
  const all: [string, Crunch][] = [];
  const addon = new URL(`../../runtime/native/qc.${process.platform}-${process.arch}.node`, import.meta.url);
  for (const isa of existsSync(addon) ? ['scalar', 'avx2', 'avx512vnni'] : []) {
    process.env['QC_ISA'] = isa;
    try {
      all.push([isa, await loadCrunch({ prefer: 'native' })]);
    } catch (error) {
      console.log(`skipped: ${isa}: ${(error as Error).message}`);
    }
  }
  delete process.env['QC_ISA'];
  if (all.length === 0) console.log('skipped: native engines: the addon is not built');
  all.push(['wasm', await loadCrunch({ prefer: 'wasm' })]);
  return all;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
