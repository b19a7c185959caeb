/** Recipe packages as the playground carries them: every `.qrecipe` of a folder, whole. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from '../../compiler/browser/resolve.ts';

export function bundled(folder: string): BundledPackage {
  const { name, version, qrecipe } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  if (!name || !version || !qrecipe) throw new Error(`${folder} is no recipe package`);
  const paths = readdirSync(folder, { recursive: true })
    .map((p) => String(p).replaceAll('\\', '/'))
    .filter((p) => p.endsWith('.qrecipe') && !p.includes('node_modules/'))
    .sort();
  return { name, version, entry: qrecipe, files: Object.fromEntries(paths.map((p) => [p, readFileSync(join(folder, p), 'utf8')])) };
}
