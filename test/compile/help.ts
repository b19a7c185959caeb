/** Compiles the committed models into a folder that goes away. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CompileOptions, type CompileResult, compile } from '../../compiler/compile.ts';
import type { Crunch } from '../../compiler/crunch.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { nodeResolver } from '../../compiler/node/resolve.ts';

export interface Compiled {
  readonly result: CompileResult;
  readonly output: string;
  bytes(): Buffer;
}

/** A workplace: `compiled(model, recipe)` writes into it, `files()` lists it, `close()` removes it. */
export async function workplace(crunch?: Crunch) {
  const folder = mkdtempSync(join(tmpdir(), 'qc-compile-'));
  const host = await nodeHost({ threads: 1, ...(crunch ? { crunch } : {}) });
  let n = 0;
  return {
    folder,
    host,
    files: () => readdirSync(folder),
    async compiled(model: string, text: string, o: Partial<CompileOptions> = {}): Promise<Compiled> {
      const output = join(folder, `${++n}.onnx`);
      const whole = text.includes('recipe ') ? text : `recipe r version "1.0.0" {\n${text}\n}\n`;
      const result = await compile({
        host,
        model: `test/models/${model}/model.onnx`,
        recipe: 'r.qrecipe',
        text: whole,
        resolve: nodeResolver('r.qrecipe', process.cwd()),
        output,
        ...o,
      });
      return { result, output, bytes: () => readFileSync(output) };
    },
    async close() {
      await host.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
export type Workplace = Awaited<ReturnType<typeof workplace>>;
