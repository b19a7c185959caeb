/** .npz: a zip of .npy arrays, by name. */
import { unzipSync, zipSync } from 'fflate';
import { fail, QcError } from '../../grammar/diagnostics.ts';
import type { Value } from '../host.ts';
import { decodeNpy, encodeNpy } from './npy.ts';

/** Deflate cannot expand further than this, so a larger declared size is a lie and is not allocated. */
const expansion = 1032;

/** The entries of a zip, unpacked. Errors: npz-malformed. */
export function unzip(bytes: Uint8Array, label: string): Record<string, Uint8Array> {
  const broken = (why: string): never => fail('npz-malformed', `${label}: ${why}`, 'write it again; it may be cut off');
  try {
    return unzipSync(bytes, {
      filter(entry) {
        if (entry.originalSize > (entry.size + 64) * expansion)
          broken(`entry "${entry.name}" declares ${entry.originalSize} bytes, more than its data can hold`);
        return true;
      },
    });
  } catch (error) {
    if (error instanceof QcError) throw error;
    return broken(`not a readable zip archive (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** The arrays of an .npz file by name. Errors: npz-malformed, npy-malformed, npy-type. */
export function decodeNpz(bytes: Uint8Array, label: string): Map<string, Value> {
  const arrays = new Map<string, Value>();
  for (const [name, data] of Object.entries(unzip(bytes, label))) {
    if (!name.endsWith('.npy')) fail('npz-malformed', `${label}: entry "${name}" is not a .npy array`, 'write it with numpy.savez');
    const key = name.slice(0, -4);
    arrays.set(key, decodeNpy(data, `${label}, array "${key}"`));
  }
  return arrays;
}

/** A zip with the same bytes for the same entries: no times, entries in the given order. */
export function zip(entries: Record<string, Uint8Array>): Uint8Array {
  return zipSync(entries, { level: 6, mtime: new Date(1980, 0, 1), os: 3 });
}

/** The arrays as .npz bytes. */
export function encodeNpz(arrays: ReadonlyMap<string, Value>): Uint8Array {
  return zip(Object.fromEntries([...arrays].map(([name, value]) => [`${name}.npy`, encodeNpy(value)])));
}
