// Imported configurations, compiled: what the emitted graph holds is what the source says, layer by layer. Real models are scored where they are.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { importRecipe } from '../../compiler/import.ts';
import { ingest } from '../../compiler/ingest.ts';
import { workplace } from '../compile/help.ts';

const place = await workplace();
const shared = '../shared';

interface Case {
  readonly config: string;
  readonly model: string;
  /** The source's own words: what linears (and the embedding) become, and what is left alone. */
  readonly weight: string;
  readonly input?: string;
  readonly embedding?: string;
  readonly skipped?: readonly string[];
  readonly data?: number;
  /** Lines of score.py. */
  readonly metric?: string;
}

/** Compiles the imported recipe and reads the graph back. */
async function holds(c: Case, root: string): Promise<string> {
  const file = readdirSync('test/import/configs').find((f) => f.startsWith(c.config)) as string;
  const { text } = importRecipe(readFileSync(`test/import/configs/${file}`, 'utf8'), { file, name: 'imported' });
  const recipe = text.replace('calibrate data("calib")', `calibrate data("calib") { samples: ${c.data ?? 2} }`);
  const folder = `${root}/${c.model}`;
  const { result, output } = await place.compiled(c.model, recipe, {
    model: `${folder}/model.onnx`,
    target: 'ort',
    data: { calib: `${folder}/calib` },
  } as never);
  assert.ok(result.ok);
  const { types, sites } = await ingest(place.host, output, { name: 'r', of: 'r.onnx' });
  for (const s of sites.sites) {
    const left = c.skipped?.includes(s.path) ?? false;
    const [weight, input] = [types.get(`${s.id}.weight`), types.get(`${s.id}.input`)];
    if (s.role === 'linear' || s.role === 'conv') {
      assert.is(weight, left ? undefined : c.weight, `${s.id} weight`);
      assert.is(input, left ? undefined : c.input, `${s.id} input`);
    } else if (s.role === 'embedding') assert.is(weight, c.embedding, `${s.id} weight`);
  }
  return output;
}

const always: readonly Case[] = [
  { config: 'olive-lfm2', model: 'llama', weight: 'int8 group 32', embedding: 'int8 group 32' },
  {
    config: 'ort-optimum',
    model: 'vit',
    weight: 'int8 tensor',
    input: 'uint8 tensor dynamic',
    skipped: ['embeddings.patch_embeddings.projection'],
  },
];
for (const c of always)
  test(`${c.config} on ${c.model}`, async () => {
    await holds(c, 'test/models');
  });

const real: readonly Case[] = [
  { config: 'gptq-qwen', model: 'llama', weight: 'int4 group 128', skipped: ['lm_head'], metric: 'kl' },
  { config: 'ort-optimum', model: 'minilm', weight: 'int8 tensor', input: 'uint8 tensor dynamic', metric: 'accuracy_at_1' },
  { config: 'ai-edge-a8w8', model: 'vit', weight: 'int8 channel', input: 'uint8 tensor static', data: 16, metric: 'top1' },
  { config: 'olive-bert-cpu', model: 'mlp-conv', weight: 'int8 tensor', input: 'uint8 tensor static', data: 16, metric: 'top1' },
];
for (const c of real)
  test(`${c.config} on the real ${c.model}, scored`, async () => {
    const folder = `${shared}/models/${c.model}`;
    if (!existsSync(`${folder}/model.onnx`)) return void console.log(`skipped: ${folder} is not here`);
    const output = await holds(c, `${shared}/models`);
    const scored = spawnSync('python3', [`${shared}/tools/score.py`, folder, output], { encoding: 'utf8' });
    if (scored.status !== 0)
      return void console.log(`skipped: score.py: ${(scored.stderr || String(scored.error)).trim().split('\n').at(-1)}`);
    const lines = scored.stdout.trim().split('\n');
    console.log(`${c.config} on ${c.model}: ${lines.join(' ').slice(0, 400)}`);
    assert.match(scored.stdout, c.metric ?? '');
  });

test.after(() => place.close());
test.run();
