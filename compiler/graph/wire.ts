/** Messages from the protobuf wire format, driven by the table in proto.ts. Its inverse is wireout.ts. */
import protobuf from 'protobufjs/minimal.js';
import { type Data, type Message, type MessageName, type Span, schema } from './proto.ts';

/** Payloads above this stay in the file. */
export const LAZY_BYTES = 1024;
const MAX_DEPTH = 96;

export type Field = { name: string; number: number; kind: string; many: boolean };
export type Loose = Record<string, unknown> & { unknown?: Uint8Array };

export const tables = new Map<string, { byNumber: Map<number, Field>; inOrder: Field[] }>(
  Object.entries(schema).map(([message, fields]) => {
    const all = Object.entries(fields as Record<string, readonly [number, string, 'many'?]>).map(([name, [number, kind, many]]) => ({
      name,
      number,
      kind,
      many: many === 'many',
    }));
    return [message, { byNumber: new Map(all.map((f) => [f.number, f])), inOrder: all.sort((a, b) => a.number - b.number) }];
  }),
);

/** The bytes are not what the schema says. `path` grows from the inside out: `graph "main".initializer[3] "w".raw_data`. */
export class WireError extends Error {
  override readonly name = 'WireError';
  path = '';
  constructor(
    readonly kind: 'truncated' | 'malformed',
    message: string,
  ) {
    super(message);
  }
  /** Leaves field `step` of a message that is called `name` if that was read already. */
  leave(step: string, name: unknown): this {
    this.path = this.path === '' || this.path.startsWith(' ') ? step + this.path : `${step}.${this.path}`;
    if (typeof name === 'string' && name !== '') this.path = ` "${name}".${this.path}`;
    return this;
  }
}

/** A message that is being decoded, field by field. */
export class Filler {
  private readonly out: Loose = {};
  private readonly unknown: Uint8Array[] = [];
  private readonly table: Map<number, Field>;
  constructor(message: string) {
    this.table = tables.get(message)!.byNumber;
  }

  /** The field that a head announces; undefined if we do not know it in this spelling. */
  field(number: number, wire: number): Field | undefined {
    const f = this.table.get(number);
    return f !== undefined && wireFits(f, wire) ? f : undefined;
  }

  /** Decodes the next field of `r`. With `base`, the file offset of r's first byte, large payloads become spans. */
  next(r: protobuf.Reader, base: number | undefined, depth: number): void {
    const start = r.pos;
    const tag = readTag(r);
    try {
      const length = readLength(r, tag.wire);
      const f = this.field(tag.number, tag.wire);
      const left = r.len - r.pos;
      if (length > left) {
        // the innermost field that is cut is the one to name
        if (f !== undefined && isMessage(f.kind)) decode(f.kind, r.buf.subarray(r.pos, r.len), undefined, depth + 1);
        throw truncated(length, left);
      }
      if (f !== undefined) readField(this, f, tag.wire, length, r, base, depth);
      else {
        if (tag.wire === 0) readInt(r);
        else r.pos += length;
        this.unknown.push(r.buf.slice(start, r.pos));
      }
    } catch (e) {
      throw this.blame(e, tag.number);
    }
  }

  put(f: Field, value: unknown): void {
    if (!f.many) this.out[f.name] = value;
    else {
      const list = this.out[f.name] as unknown[] | undefined;
      if (list === undefined) this.out[f.name] = [value];
      else list.push(value);
    }
  }

  /** An error inside field `number` of this message, with its path. */
  blame(e: unknown, number: number): unknown {
    if (!(e instanceof WireError)) return e;
    const f = this.table.get(number);
    const list = f && this.out[f.name];
    const index = f?.many ? `[${Array.isArray(list) ? list.length : 0}]` : '';
    return e.leave(f === undefined ? `field ${number}` : f.name + index, this.out['name']);
  }

  done(): Loose {
    if (this.unknown.length > 0) this.out.unknown = concatBytes(this.unknown);
    return this.out;
  }
}

function wireFits(f: Field, wire: number): boolean {
  switch (f.kind) {
    case 'int':
      return wire === 0 || (wire === 2 && f.many);
    case 'float':
      return wire === 5 || (wire === 2 && f.many);
    case 'varints':
      return wire === 2 || wire === 0;
    case 'data':
      return wire === 2 || (f.many && (wire === 5 || wire === 1));
    default:
      return wire === 2;
  }
}

/** A signed 64-bit varint: a number where it is exact, else a bigint. */
function readInt(r: protobuf.Reader): number | bigint {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 7; i++) {
    const b = nextByte(r);
    value += (b & 127) * scale;
    if (b < 128) return value;
    scale *= 128;
  }
  let big = BigInt(value);
  for (let shift = 49n; shift < 70n; shift += 7n) {
    const b = nextByte(r);
    big |= BigInt(b & 127) << shift;
    if (b < 128) {
      big = BigInt.asIntN(64, big);
      const n = Number(big);
      return Number.isSafeInteger(n) ? n : big;
    }
  }
  throw new WireError('malformed', 'an integer is longer than 10 bytes');
}

function nextByte(r: protobuf.Reader): number {
  if (r.pos >= r.len) throw new WireError('truncated', 'the file ends inside an integer');
  return r.buf[r.pos++]!;
}

/** Every integer of a `varints` payload, as unsigned 64-bit patterns reduced to signed ones. */
export function decodeVarints(chunks: readonly Uint8Array[]): (number | bigint)[] {
  const out: (number | bigint)[] = [];
  for (const c of chunks) {
    const r = new protobuf.Reader(c);
    while (r.pos < r.len) out.push(readInt(r));
  }
  return out;
}

export function readTag(r: protobuf.Reader): { number: number; wire: number } {
  const tag = readInt(r);
  const [number, wire] = [Math.floor(Number(tag) / 8), Number(tag) % 8];
  if (number < 1 || number > 0x1fffffff) throw new WireError('malformed', `a field has the impossible number ${number}`);
  if (wire === 3 || wire === 4 || wire > 5)
    throw new WireError('malformed', `field ${number} has wire type ${wire}, which ONNX never uses`);
  return { number, wire };
}

/** Length of the payload that follows; 0 for a varint. */
export function readLength(r: protobuf.Reader, wire: number): number {
  if (wire !== 2) return wire === 5 ? 4 : wire === 1 ? 8 : 0;
  const n = readInt(r);
  if (typeof n === 'bigint' || n < 0) throw new WireError('malformed', 'its length is impossible');
  return n;
}

export const truncated = (length: number, left: number): WireError =>
  new WireError('truncated', `${length} bytes are announced but only ${left} are left`);

/** Decodes a message in memory. With `base` (its offset in the file) large payloads become spans of the file. */
export function decode<N extends MessageName>(message: N, bytes: Uint8Array, base?: number, depth = 0): Message<N> {
  if (depth > MAX_DEPTH) throw new WireError('malformed', `messages are nested deeper than ${MAX_DEPTH} levels`);
  const fill = new Filler(message);
  const r = new protobuf.Reader(plain(bytes));
  while (r.pos < r.len) fill.next(r, base, depth);
  return fill.done() as Message<N>;
}

function readField(
  fill: Filler,
  f: Field,
  wire: number,
  length: number,
  r: protobuf.Reader,
  base: number | undefined,
  depth: number,
): void {
  const at = r.pos;
  const end = at + length;
  switch (f.kind) {
    case 'int':
      if (wire === 0) fill.put(f, readInt(r));
      else while (r.pos < end) fill.put(f, readInt(r));
      return;
    case 'float':
      if (wire === 5) fill.put(f, r.float());
      else while (r.pos + 4 <= end) fill.put(f, r.float());
      r.pos = end;
      return;
    case 'varints':
      if (wire === 0) readInt(r);
      else r.pos = end;
      fill.put(f, r.buf.subarray(at, r.pos));
      return;
    case 'string':
      r.pos = end;
      fill.put(f, utf8.decode(r.buf.subarray(at, end)));
      return;
    case 'bytes':
      r.pos = end;
      fill.put(f, r.buf.slice(at, end));
      return;
    case 'data':
      r.pos = end;
      fill.put(f, base !== undefined && length > LAZY_BYTES ? { at: base + at, len: length } : r.buf.slice(at, end));
      return;
    default:
      r.pos = end;
      fill.put(f, decode(f.kind as MessageName, r.buf.subarray(at, end), base === undefined ? undefined : base + at, depth + 1));
  }
}

/** Payloads of the length-delimited field `number` among unknown fields. */
export function fieldsOf(unknown: Uint8Array | undefined, number: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  if (unknown === undefined) return found;
  const r = new protobuf.Reader(unknown);
  while (r.pos < r.len) {
    const tag = readTag(r);
    const length = readLength(r, tag.wire);
    const at = r.pos;
    if (tag.wire === 0) readInt(r);
    else r.pos += length;
    if (tag.number === number && tag.wire === 2) found.push(unknown.subarray(at, r.pos));
  }
  return found;
}

const utf8 = new TextDecoder();

/** Node's Buffer as what it is below: `Buffer.slice` does not copy, and we mean to. */
export const plain = (b: Uint8Array): Uint8Array =>
  b.constructor === Uint8Array ? b : new Uint8Array(b.buffer, b.byteOffset, b.byteLength);

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export const isMessage = (kind: string): kind is MessageName => tables.has(kind);
export const isSpan = (d: Data): d is Span => !(d instanceof Uint8Array);
