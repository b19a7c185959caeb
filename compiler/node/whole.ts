import type { Host } from '../host.ts';

/** Writes a text as one file that appears under its name when it is all there, or not at all. */
export async function writeWhole(host: Pick<Host, 'create'>, path: string, text: string, force: boolean): Promise<void> {
  const file = await host.create(path, force);
  try {
    await file.write(new TextEncoder().encode(text));
    await file.commit();
  } catch (e) {
    await file.abort();
    throw e;
  }
}
