// Laws of parser and printer: parse∘print is the identity on trees, print∘parse on canonical text, comments are never lost.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { File } from '../../grammar/ast.ts';
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';
import { type Rng, randomFile, rng } from './random.ts';

/** The tree without places and comments. */
const bare = (ast: File): unknown => JSON.parse(JSON.stringify(ast, (k, v: unknown) => (k === 'span' || k === 'trivia' ? undefined : v)));
/** Ends of lines where a comment may stand: not inside a text in quotes. */
const commentsOf = (text: string): string[] =>
  [...text.matchAll(/"(?:[^"\\\n]|\\.)*"|#(.*)/g)]
    .flatMap((m) => (m[0].startsWith('#') ? m[0].split('#').map((c) => c.trim()) : []))
    .filter((c) => c !== '');
const read = (text: string): File => {
  const { ast, diagnostics } = parse(text, 'law');
  assert.equal(
    diagnostics.map((d) => `${d.message} at ${d.span?.line}: ${text.split('\n')[(d.span?.line ?? 1) - 1]}`),
    [],
  );
  return ast;
};

test('parse∘print is the identity on 400 random trees', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const tree = randomFile(rng(seed));
    const text = print(tree);
    assert.equal(bare(read(text)), bare(tree), `seed ${seed}`);
    assert.is(print(read(text)), text, `canonical text of seed ${seed}`);
  }
});

/** Puts comments, line breaks and empty lines between words. */
function shuffle(text: string, random: Rng): string {
  const words = text.match(/"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:%|\w+)?|<->|->|\+-|[<>=]=|\.\.|\S/g) ?? [];
  let n = 0;
  return words
    .map((w) => {
      const r = random();
      if (r < 0.06) return `${w} # c${n++}\n`;
      if (r < 0.1) return `${w}\n\n  # c${n++}\n`;
      return r < 0.3 ? `${w}\n` : r < 0.33 ? `${w}\n\n\n` : `${w} `;
    })
    .join('');
}

test('comments anywhere survive, and formatting twice is formatting once', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = rng(seed);
    const wild = shuffle(print(randomFile(random)), random);
    const tree = read(wild);
    const once = print(tree);
    assert.equal(bare(read(once)), bare(tree), `seed ${seed}`);
    assert.equal(commentsOf(once).sort(), commentsOf(wild).sort(), `comments of seed ${seed}`);
    assert.is(print(read(once)), once, `canonical text of seed ${seed}`);
  }
});

test('empty lines: one is kept, more become one', () => {
  assert.is(print(read('# head\n\n\n\nlet a = 1\nlet b = 2\n\n# tail\n')), '# head\n\nlet a = 1\nlet b = 2\n\n# tail\n');
});

test('systems.qrecipe formats to itself once formatted, with every comment and the same tree', () => {
  const text = readFileSync('test/fixtures/systems.qrecipe', 'utf8');
  const once = print(read(text));
  assert.equal(bare(read(once)), bare(read(text)));
  assert.is(print(read(once)), once);
  assert.equal(commentsOf(once), commentsOf(text));
});

test('any cut of a file parses without a crash and says something', () => {
  const text = readFileSync('test/fixtures/systems.qrecipe', 'utf8').split('\n').slice(3, 25).join('\n');
  for (let end = 1; end < text.length; end += 7) {
    const { diagnostics } = parse(text.slice(0, end), 'cut');
    const whole = /^(recipe [^}]*(\{[^{}]*\}[^{}]*)*\}\s*)*$/.test(text.slice(0, end));
    if (!whole) assert.ok(diagnostics.length > 0, `cut at ${end}: ${text.slice(Math.max(0, end - 30), end)}`);
    for (const d of diagnostics) assert.ok(d.span && d.span.start <= end && d.span.line >= 1, `a place for "${d.message}" at ${end}`);
  }
});

test.run();
