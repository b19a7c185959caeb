import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CodeFormat } from '../../compiler/crunch.ts';
import { bytesOf, engines } from './engines.ts';

interface Case {
  bits: number;
  reduce: number;
  out: number;
  group: number;
  symmetric: boolean;
  weight256: number[];
  codes: string;
  scales: string;
  zeros: number[];
}

const all = await engines();
const { cases } = JSON.parse(readFileSync(new URL('matmulnbits.json', import.meta.url), 'utf8')) as { cases: Case[] };

for (const t of cases) {
  test(`${t.bits} bits, ${t.reduce} × ${t.out} in groups of ${t.group}, ${t.symmetric ? '' : 'a'}symmetric: as onnxruntime`, async () => {
    const w = Float32Array.from(t.weight256, (v) => v / 256);
    const half = 2 ** (t.bits - 1);
    const format: CodeFormat = t.symmetric
      ? { kind: 'int', bits: t.bits, signed: true, lo: -half, hi: half - 1 }
      : { kind: 'int', bits: t.bits, signed: false, lo: 0, hi: 2 * half - 1 };
    for (const [name, c] of all) {
      const q = await c.quantize({
        weight: { data: bytesOf(w), dtype: 'float32', out: t.out, reduce: t.reduce, order: 'ro' },
        format,
        symmetric: t.symmetric,
        grain: { per: 'group', group: t.group },
        law: { name: 'signed_absmax' },
        scaleType: 'float32',
        layout: 'nbits',
      });
      assert.is(Buffer.from(q.codes).toString('hex'), t.codes, name);
      assert.is(Buffer.from(q.scales).toString('hex'), t.scales, name);
      if (t.symmetric) continue;
      const groups = Math.ceil(t.reduce / t.group);
      const row = Math.ceil((groups * t.bits) / 8);
      const zeros = t.zeros.map((_, i) => {
        const bit = Math.floor(i / groups) * row * 8 + (i % groups) * t.bits;
        return (q.zeros![bit >> 3]! >> (bit & 7)) & (2 ** t.bits - 1);
      });
      assert.equal(zeros, t.zeros, name);
    }
  });
}

test.run();
