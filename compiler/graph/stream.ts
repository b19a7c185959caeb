/** Decodes a message straight from a file: large messages are walked with random access, large payloads are never read. */
import protobuf from 'protobufjs/minimal.js';
import type { ReadFile } from '../host.ts';
import type { Message, MessageName } from './proto.ts';
import { decode, Filler, isMessage, LAZY_BYTES, readLength, readTag, truncated } from './wire.ts';

/** Messages up to this are read at once and decoded in memory. */
const WHOLE = 1 << 16;
const WINDOW = 1 << 18;
const HEAD = 20;

/** A window over a file that moves forward. */
class Window {
  private bytes: Uint8Array = new Uint8Array(0);
  private from = 0;
  constructor(private readonly file: ReadFile) {}
  /** `len` bytes at `at`, without copying where the window has them. */
  async get(at: number, len: number): Promise<Uint8Array> {
    if (at < this.from || at + len > this.from + this.bytes.length) {
      this.bytes = await this.file.read(at, Math.min(Math.max(len, WINDOW), this.file.size - at));
      this.from = at;
    }
    return this.bytes.subarray(at - this.from, at - this.from + len);
  }
}

/** Decodes the message in `file` from its first byte to its last. Payloads above LAZY_BYTES come as spans. */
export async function decodeFile<N extends MessageName>(message: N, file: ReadFile): Promise<Message<N>> {
  return decodeRange(message, new Window(file), 0, file.size, 0);
}

async function decodeRange<N extends MessageName>(
  message: N,
  window: Window,
  from: number,
  end: number,
  depth: number,
): Promise<Message<N>> {
  if (end - from <= WHOLE) return decode(message, (await window.get(from, end - from)).slice(), from, depth);
  const fill = new Filler(message);
  let at = from;
  while (at < end) {
    const r = new protobuf.Reader(await window.get(at, Math.min(HEAD, end - at)));
    const { number, wire } = readTag(r);
    try {
      const length = readLength(r, wire);
      const f = fill.field(number, wire);
      const payload = at + r.pos;
      const left = end - payload;
      if (length > left) {
        if (f !== undefined && isMessage(f.kind)) await decodeRange(f.kind, window, payload, end, depth + 1);
        throw truncated(length, left);
      }
      if (f?.kind === 'data' && length > LAZY_BYTES) fill.put(f, { at: payload, len: length });
      else if (f !== undefined && isMessage(f.kind) && length > WHOLE)
        fill.put(f, await decodeRange(f.kind, window, payload, payload + length, depth + 1));
      else {
        const field = new protobuf.Reader((await window.get(at, wire === 0 ? r.len : r.pos + length)).slice());
        fill.next(field, at, depth);
        at += field.pos;
        continue;
      }
      at = payload + length;
    } catch (e) {
      throw fill.blame(e, number);
    }
  }
  return fill.done() as Message<N>;
}
