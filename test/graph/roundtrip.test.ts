import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../compiler/graph/load.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { files } from './host.ts';
import { assertSame } from './same.ts';

const root = join(import.meta.dirname, '../..');
const folders = [join(root, 'test/models'), join(root, '../shared/models')].filter((d) => existsSync(d));
if (folders.length < 2) console.log('skipped: ../shared/models is not there');

for (const folder of folders) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name, 'model.onnx');
    if (!existsSync(path)) continue;
    for (const external of folder === folders[0] ? [true, false] : [true]) {
      test(`${name} survives load → write → load, weights ${external ? 'beside' : 'inside'}`, async () => {
        const out = mkdtempSync(join(tmpdir(), 'qc-graph-'));
        try {
          const a = await loadModel(files, path);
          const written = await writeModel(files, a.model, join(out, 'm.onnx'), { dir: a.dir, external });
          const b = await loadModel(files, join(out, 'm.onnx'));
          await assertSame(a, b);
          assert.equal(b.external, external ? ['m.onnx.data'] : []);
          assert.is(written.bytes, b.bytes);
          assert.equal([...b.model.graph.initializers.keys()], [...a.model.graph.initializers.keys()]);
          for (const t of b.model.graph.initializers.values()) {
            if (external && t.source.kind === 'file') assert.is(t.source.at % (t.source.len >= 1 << 20 ? 4096 : 64), 0);
          }
          assert.equal(readdirSync(out).sort(), external ? ['m.onnx', 'm.onnx.data'] : ['m.onnx']);
        } finally {
          rmSync(out, { recursive: true });
        }
      });
    }
  }
}

test.run();
