/** Messages to the protobuf wire format, driven by the table in proto.ts. */
import protobuf from 'protobufjs/minimal.js';
import type { Message, MessageName } from './proto.ts';
import { type Field, type Loose, plain, tables } from './wire.ts';

/** Encodes a message, known fields by number, then the unknown ones as they came. Spans are not allowed: the caller resolved them. */
export function encode<N extends MessageName>(message: N, value: Message<N>): Uint8Array {
  const w = protobuf.Writer.create();
  write(w, message, value as Loose);
  return plain(w.finish());
}

function write(w: protobuf.Writer, message: string, value: Loose): void {
  for (const f of tables.get(message)!.inOrder) {
    const v = value[f.name];
    if (v === undefined) continue;
    if (f.many) for (const item of v as unknown[]) writeField(w, f, item);
    else writeField(w, f, v);
  }
  if (value.unknown !== undefined) w.raw(value.unknown);
}

function writeField(w: protobuf.Writer, f: Field, v: unknown): void {
  const key = f.number * 8;
  switch (f.kind) {
    case 'int':
      writeInt(w.uint32(key), v as number | bigint);
      return;
    case 'float':
      w.uint32(key + 5).float(v as number);
      return;
    case 'string':
      w.uint32(key + 2).string(v as string);
      return;
    case 'bytes':
    case 'varints':
    case 'data':
      if (!(v instanceof Uint8Array)) throw new Error(`a span of a file reached the encoder in field ${f.name}`);
      w.uint32(key + 2).bytes(v);
      return;
    default:
      write(w.uint32(key + 2).fork(), f.kind, v as Loose);
      w.ldelim();
  }
}

function writeInt(w: protobuf.Writer, v: number | bigint): void {
  if (typeof v === 'number' && v >= 0 && v <= 0xffffffff) w.uint32(v);
  else {
    const big = BigInt.asUintN(64, BigInt(v));
    const bytes: number[] = [];
    let rest = big;
    while (rest > 127n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    w.raw(Uint8Array.from(bytes));
  }
}
