/** What `explain` says of whole models: texts that are reviewed like code. UPDATE=1 rewrites them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { explain, explanationText } from '../../compiler/explain.ts';
import { nodeHost } from '../../compiler/node/host.ts';

const host = await nodeHost();
test.after(() => host.close());

const recipes: Record<string, { model: string; text: string; target: string; selection?: string }> = {
  'llama-w4': {
    model: 'llama',
    target: 'ort',
    text: `recipe llama_w4 version "1.0.0" (group = 32) {
  let body = linear and not path("lm_head")
  quantize linear as W8A16
  quantize body as W4A16 { group: group }
  quantize weight of embedding as int8 { per: channel }
  keep path("layers.5.mlp.down_proj") at float16
}
`,
  },
  'vit-static': {
    model: 'vit',
    target: 'portable',
    text: `recipe vit_static version "1.0.0" {
  calibrate data("calib")
  quantize linear or conv as W8A8_STATIC { activation_scale: percentile(99.99) }
  keep path("classifier")
}
`,
  },
  'mlp-conv-search': {
    model: 'mlp-conv',
    target: 'portable',
    selection: 'conv and size >= 1000',
    text: `recipe mlp_conv version "1.0.0" {
  let bits in [8, 4] each conv
  quantize weight of conv as int(bits) { per: channel }
  search bits { objective: sqnr(layer), budget: size <= 0.25x, method: ilp }
}
`,
  },
};

for (const [name, { model, text, target, selection }] of Object.entries(recipes))
  test(name, async () => {
    const found = await explain({ host, model: `test/models/${model}/model.onnx`, recipe: `${name}.qrecipe`, text, target }, selection);
    const path = `test/plan/expected/${name}.txt`;
    const actual = explanationText(found);
    if (process.env['UPDATE'] || !existsSync(path)) writeFileSync(path, actual);
    assert.fixture(actual, readFileSync(path, 'utf8'));
  });

test('a type that the target cannot express is said', async () => {
  const text = 'recipe r version "1.0.0" { quantize weight of linear as int16 }';
  const found = await explain({ host, model: 'test/models/vit/model.onnx', recipe: 'r.qrecipe', text, target: 'ort' });
  assert.match(found.ports.find((p) => p.type)!.refused!, 'at most 8 bits');
  assert.match(explanationText(found), 'refused by ort');
});

test.run();
