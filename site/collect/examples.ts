/** The cookbook's recipes as the playground offers them: by goal, each with the model that it is planned on. */
import { readFileSync } from 'node:fs';
import { blocks } from './blocks.ts';

export interface Example {
  readonly title: string;
  readonly model: string;
  readonly text: string;
}

export function examples(file = 'docs/guide/cookbook.md'): Example[] {
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n');
  return blocks(file, text).flatMap((b) => {
    if (b.language !== 'qrecipe' || !b.asks['plan']) return [];
    const heading = lines.slice(0, b.line).findLast((l) => l.startsWith('## ')) ?? '';
    const name = /^recipe (\w+)/m.exec(b.text)?.[1] ?? '';
    return [{ title: `${heading.slice(3)} (${name})`, model: b.asks['plan'], text: b.text }];
  });
}
