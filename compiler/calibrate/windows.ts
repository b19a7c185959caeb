import { fail } from '../../grammar/diagnostics.ts';
import type { ReadFile } from '../host.ts';

/** The file that holds byte `offset` of all files in a row. */
function find(files: readonly ReadFile[], offset: number): { file: ReadFile; at: number } {
  let at = offset;
  for (const file of files) {
    if (at < file.size) return { file, at };
    at -= file.size;
  }
  return { file: files[0]!, at: 0 };
}

/**
 * Evenly spread windows of `length` token ids: the text is divided into as many parts as there will be windows, and each part gives one from
 * its first line on. Reads only those parts. Errors: text-short.
 */
export async function cutWindows(
  files: readonly ReadFile[],
  encode: (text: string) => number[],
  samples: number,
  length: number,
  path: string,
): Promise<number[][]> {
  const total = files.reduce((sum, f) => sum + f.size, 0);
  const decoder = new TextDecoder();
  const tokensAt = async (offset: number): Promise<{ ids: number[]; bytes: number }> => {
    const { file, at } = find(files, offset);
    for (let size = length * 8; ; size *= 2) {
      const bytes = await file.read(at, Math.min(size, file.size - at));
      // A part starts in the middle of a line, perhaps of a character: its first whole line is the first place that is text.
      const line = at === 0 ? 0 : bytes.indexOf(10) + 1;
      const whole = bytes.subarray(line);
      const ids = encode(decoder.decode(whole));
      if (ids.length > length || at + size >= file.size)
        return { ids: ids.slice(0, length), bytes: (whole.length * length) / Math.max(1, ids.length) };
    }
  };
  const first = await tokensAt(0);
  const count = first.ids.length < length && files.length === 1 ? 0 : Math.min(samples, Math.floor(total / first.bytes));
  const windows: number[][] = [];
  for (let i = 0; i < count; i++) {
    const { ids } = await tokensAt(Math.floor((i * total) / count));
    if (ids.length === length) windows.push(ids);
  }
  if (windows.length === 0)
    fail(
      'text-short',
      `${path} gives fewer than the ${length} tokens of one window (${total} bytes of text)`,
      'give more text or a smaller length',
    );
  return windows;
}
