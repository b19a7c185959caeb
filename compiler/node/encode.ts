import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, mkdir, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { openTensors, type Reader, sizeOf } from '../graph/bytes.ts';
import type { FileRange, Model, Tensor } from '../graph/types.ts';
import { allGraphs } from '../graph/walk.ts';
import { encodeModel } from '../graph/write.ts';
import type { Host } from '../host.ts';
import { guarded } from './errors.ts';

/** Weights that are in no file go into the protobuf up to this, beyond it into a scratch file that ONNX Runtime maps. */
const INLINE = 256 << 20;

/** A model as ONNX Runtime takes it: the protobuf, and the folder of its external data. */
export interface SessionModel {
  readonly bytes: Uint8Array;
  readonly folder: string;
  /** Bytes of its weights. */
  readonly weights: number;
}

/** Encodes a model for a session. Weights that lie in files below `dir` stay there and are mapped; nothing of them is copied. */
export async function sessionModel(
  model: Model,
  dir: string,
  host: Pick<Host, 'open' | 'scratch' | 'crunch'>,
  inline = INLINE,
): Promise<SessionModel> {
  const folder = await guarded(dir, () => realpath(dir));
  const reader = openTensors(host, dir);
  const inPlace = (t: Tensor) => t.source.kind === 'file' && (t.source.dir === undefined || t.source.dir === dir);
  const weights = [...allGraphs(model.graph)].flatMap((g) => [...g.initializers.values()]);
  const elsewhere = weights.filter((t) => !inPlace(t)).reduce((sum, t) => sum + sizeOf(t), 0);
  try {
    const all = weights.reduce((sum, t) => sum + sizeOf(t), 0);
    if (elsewhere > inline)
      return { ...(await spill(model, reader, dir, join(await host.scratch(), randomBytes(6).toString('hex')))), weights: all };
    const bytes = await encodeModel(model, reader, async (t) =>
      inPlace(t) && t.source.kind === 'file' ? { file: t.source.file, at: t.source.at, len: t.source.len } : reader.bytes(t),
    );
    return { bytes, folder, weights: all };
  } finally {
    await reader.close();
  }
}

/** ONNX Runtime follows no link out of the model's folder, so a scratch folder gets hard links to the source files and one new file for the rest. */
async function spill(model: Model, reader: Reader, dir: string, folder: string): Promise<Omit<SessionModel, 'weights'>> {
  await mkdir(folder);
  const path = join(folder, 'rest');
  const rest = await open(path, 'wx');
  const links = new Map<string, string>();
  let at = 0;
  const linked = async (source: FileRange): Promise<FileRange> => {
    const from = await guarded(source.file, () => realpath(join(source.dir ?? dir, source.file)));
    const name = links.get(from) ?? `source${links.size}`;
    if (!links.has(from)) await link(from, join(folder, name)).catch(() => copyFile(from, join(folder, name), constants.COPYFILE_FICLONE));
    links.set(from, name);
    return { file: name, at: source.at, len: source.len };
  };
  try {
    const bytes = await encodeModel(model, reader, async (t) => {
      if (t.source.kind === 'file') return linked(t.source);
      const data = await reader.bytes(t);
      const start = Math.ceil(at / 4096) * 4096;
      await guarded(path, () => rest.write(data, 0, data.length, start));
      at = start + data.length;
      return { file: 'rest', at: start, len: data.length };
    });
    return { bytes, folder };
  } finally {
    await rest.close();
  }
}
