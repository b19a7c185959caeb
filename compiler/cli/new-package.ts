/** `qc init --package`: the files of a new recipe package, which checks and could be published. */
import { VERSION } from '../driver/metadata.ts';

export function newPackage(name: string): Record<string, string> {
  const short = name.replace(/^.*\//, '');
  const word = short.replace(/\W/g, '_').replace(/^(?=\d)/, '_');
  const manifest = {
    name,
    version: '0.1.0',
    description: `Quantization recipes for qc: ${short}.`,
    keywords: ['qrecipe', 'quantization', 'onnx'],
    license: 'MIT',
    qrecipe: './index.qrecipe',
    files: ['**/*.qrecipe', 'CHANGELOG.md', 'README.md'],
    engines: { qrecipe: `^${VERSION}` },
    dependencies: { '@qrecipe/std': '^0.1' },
  };
  return {
    'package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'index.qrecipe': `language 1

use "@qrecipe/std@^0.1" as std

recipe w4 version "0.1.0" (group = 64 in [32, 64, 128]) {
  doc "Four-bit weights in groups; activations stay in float. Needs no data."
  apply std.w4a16(group: group)
}
`,
    'README.md': `# ${name}\n\nRecipes for [qc](https://www.npmjs.com/package/qrecipe). \`qc add ${name}\`, then:\n\n\`\`\`\nuse "${name}@^0.1" as ${word}\n\nrecipe mine version "1.0.0" {\n  apply ${word}.w4(group: 32)\n}\n\`\`\`\n`,
    'CHANGELOG.md': `# Changelog of ${name}\n\n## 0.1.0\nFirst version: \`w4\`.\n`,
  };
}
