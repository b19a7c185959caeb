/** Hashes of weights that fall out of quantizing them: bytes that went through the quantizer are not read again for the model's identity. */
import type { Bytes, Crunch } from '../crunch.ts';

/** A crunch that takes the hash of every weight in a file along with its codes, and hashes no range twice. */
export function digesting(crunch: Crunch): Crunch {
  const known = new Map<string, Uint8Array>();
  const keyOf = (data: Bytes) => (data instanceof Uint8Array ? undefined : `${data.at}+${data.len} ${data.path}`);
  const own: Pick<Crunch, 'quantize' | 'hash'> = {
    async quantize(r) {
      const key = keyOf(r.weight.data);
      if (key === undefined || known.has(key)) return crunch.quantize(r);
      const done = await crunch.quantize({ ...r, digest: true });
      if (done.digest) known.set(key, done.digest);
      return done;
    },
    async hash(data) {
      const key = keyOf(data);
      const digest = (key === undefined ? undefined : known.get(key)) ?? (await crunch.hash(data));
      if (key !== undefined) known.set(key, digest);
      return digest;
    },
  };
  return Object.assign(Object.create(crunch) as Crunch, own);
}
