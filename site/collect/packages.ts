/** Recipe packages as the playground carries them: as node finds them from here, every `.qrecipe` of each, whole. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from '../../compiler/browser/resolve.ts';
import { closureOf, lockedOf } from '../../compiler/node/closure.ts';

export function bundled(name: string): BundledPackage {
  const found = closureOf({ path: 'page.qrecipe', text: `use "${name}" as it\n` }, process.cwd()).packages.find((p) => p.name === name);
  const locked = found && lockedOf([found])[0];
  if (!locked) throw new Error(`${name} is no recipe package here`);
  const paths = readdirSync(found.folder, { recursive: true })
    .map((p) => String(p).replaceAll('\\', '/'))
    .filter((p) => p.endsWith('.qrecipe') && !p.includes('node_modules/'))
    .sort();
  return { ...locked, files: Object.fromEntries(paths.map((p) => [p, readFileSync(join(found.folder, p), 'utf8')])) };
}
