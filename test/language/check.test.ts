// What checking gives: the systems fixture, programs, catalogue, reference.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deadPlans, plannedNames } from '../../compiler/catalog/index.ts';
import { check, type Resolver } from '../../compiler/check/check.ts';
import { codes } from '../../compiler/check/codes.ts';
import { docsPages, reference } from '../../compiler/check/docs.ts';
import { nodeResolver } from '../../compiler/node/resolve.ts';
import type { Statement } from '../../compiler/recipe.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { parse } from '../../grammar/parser.ts';

const systems = readFileSync('test/fixtures/systems.qrecipe', 'utf8');
const here = { path: 'mine.qrecipe', text: 'recipe mine version "1.0.0" {\n  quantize linear as W4A16\n}\n' };
const disk = nodeResolver('r');
const resolver: Resolver = (spec, from) =>
  spec.startsWith('@qrecipe/std')
    ? disk(spec, 'r')
    : from.startsWith('@qrecipe/std')
      ? disk(spec, from)
      : spec === './mine.qrecipe'
        ? here
        : { error: `no ${spec}` };
const body = (text: string): readonly Statement[] => {
  const { program, diagnostics } = check({ path: 'r', text: `recipe r version "1.0.0" {\n${text}\n}\n` }, resolver);
  assert.equal(diagnostics, []);
  return program?.recipes[0]?.statements ?? [];
};
/** Without places. */
const bare = (x: unknown): unknown => JSON.parse(JSON.stringify(x, (k, v: unknown) => (k === 'span' ? undefined : v)));

test('systems.qrecipe: every name resolves, built or planned', () => {
  const uses = 'use "@qrecipe/std@^0.1" as std\nuse "./mine.qrecipe" as here\n';
  const { diagnostics } = check({ path: 'systems', text: uses + systems }, resolver);
  assert.equal(
    diagnostics.filter((d) => d.code !== 'planned').map((d) => `${d.code}: ${d.message}`),
    [],
  );
  const listed = new Set(plannedNames().map((p) => `${p.kind} \`${p.name}\``));
  const told = diagnostics.map((d) => /^The (.*) is planned/.exec(d.message)?.[1] ?? d.message);
  assert.equal(
    [...new Set(told)].filter((t) => !listed.has(t)),
    [],
    'what is told as planned is on the list of planned names',
  );
});

test('systems.qrecipe without `use`: only the unknown files are another error', () => {
  const { diagnostics } = check({ path: 'systems', text: systems });
  assert.equal(
    [...new Set(diagnostics.filter((d) => d.code !== 'planned').map((d) => d.message))],
    ['No `use` names `std`', 'No `use` names `here`'],
  );
});

test('no planned name has been built since', () => {
  assert.equal(
    deadPlans().map((p) => `${p.kind} ${p.name}`),
    [],
  );
});

test('positional arguments come under their names, aliases under the canonical one', () => {
  const [q] = body('quantize weight of linear as int(4) { group_size: 32, scale: mse(80, p: 2.4) }');
  assert.equal(bare(q), {
    verb: 'quantize',
    ports: ['weight'],
    of: { kind: 'role', role: 'linear' },
    as: { kind: 'call', of: 'format', name: 'int', args: { bits: { kind: 'number', value: 4 } } },
    fields: {
      group: { kind: 'number', value: 32 },
      scale: { kind: 'call', of: 'law', name: 'mse', args: { steps: { kind: 'number', value: 80 }, p: { kind: 'number', value: 2.4 } } },
    },
    text: 'quantize weight of linear as int(4) { group_size: 32, scale: mse(80, p: 2.4) }',
  });
});

test('lets: selections by name, values, words of a domain', () => {
  const all = body(`let body = linear and not path("lm_head")
    let form in [table, solved] each body
    quantize body as W4A16 { when: form == table }
    search form { objective: mse(layer), method: sitewise }`);
  const [form, quantize] = bare(all) as [Statement, Extract<Statement, { verb: 'quantize' }>];
  assert.equal(form.verb === 'let' && form.domain, {
    kind: 'list',
    items: [
      { kind: 'string', value: 'table' },
      { kind: 'string', value: 'solved' },
    ],
  });
  assert.is(quantize.of.kind === 'named' && quantize.of.name, 'body');
  assert.equal(quantize.when, { kind: 'op', op: '==', left: { kind: 'var', name: 'form' }, right: { kind: 'string', value: 'table' } });
  assert.equal(quantize.fields, {});
});

test('local names shadow built-in ones', () => {
  const [keep] = body('let conv = linear and path("head")\nkeep conv\nquantize linear as W4A16');
  assert.is(keep?.verb === 'keep' && keep.of.kind, 'named');
});

test('apply carries the other recipe, its arguments by name and the selection', () => {
  const text = 'use "@qrecipe/std@^0.1" as std\nrecipe r version "1.0.0" {\n  apply std.w4a16(32) to path("*.down_proj")\n}\n';
  const { program, sources } = check({ path: 'r', text }, resolver);
  const [apply] = program?.recipes[0]?.statements ?? [];
  if (apply?.verb !== 'apply') throw new Error('an apply is expected');
  assert.is(apply.recipe.name, 'w4a16');
  assert.equal(bare(apply.args), { group: { kind: 'number', value: 32 } });
  assert.is(apply.to?.kind, 'path');
  assert.match([...sources.keys()].slice(0, 2).join(), /^r,@qrecipe\/std@[\d.]+\/index.qrecipe$/);
});

test('what the command line binds is not unbound', () => {
  const text = 'recipe r version "1.0.0" {\n  let bits in [4, 8] each linear\n  quantize weight of linear as int(bits)\n}\n';
  assert.is(check({ path: 'r', text }).diagnostics[0]?.code, 'unbound-variable');
  assert.ok(check({ path: 'r', text }, undefined, { given: new Set(['bits']) }).program);
});

test('a did-you-mean is a fix that can be applied', () => {
  const text = 'recipe r version "1.0.0" {\n  quantize weight of linaer as int4 { gruop: 32 }\n}\n';
  const { diagnostics } = check({ path: 'r', text });
  const fixed = [...diagnostics]
    .reverse()
    .reduce((t, d) => (d.fix ? t.slice(0, d.fix.span.start) + d.fix.text + t.slice(d.fix.span.end) : t), text);
  assert.equal(
    diagnostics.map((d) => d.code),
    ['unknown-name', 'unknown-key'],
  );
  assert.ok(check({ path: 'r', text: fixed }).program);
});

test('a file takes in the names of files that it uses as `*`, also through others', () => {
  const files: Record<string, string> = {
    './a': 'use "./b" as *\nrecipe a version "1.0.0" {\n  apply b(g: 64)\n}\n',
    './b': 'let big = size >= 1M\nrecipe b version "1.0.0" (g = 32) {\n  quantize linear and big as W4A16(group: g)\n}\n',
  };
  const resolve: Resolver = (spec) => (files[spec] === undefined ? { error: `no ${spec}` } : { path: spec, text: files[spec] });
  const told = (text: string) => {
    const { program, diagnostics } = check({ path: 'r', text }, resolve);
    return program ? program.recipes.map((r) => `${r.file} ${r.name}`) : diagnostics.map((d) => `${d.code} ${d.span?.line}`);
  };
  const mine = 'recipe mine version "1.0.0" {\n  apply a()\n  apply b(g: 128)\n  keep big\n}\n';
  assert.equal(told(`use "./a" as *\nuse "./b" as *\n${mine}`), ['r mine', './a a', './b b'], 'the same recipe on two ways is one');
  assert.equal(told(`use "./a" as x\nrecipe r version "1.0.0" {\n  apply x.b(g: 16)\n}\n`), ['r r']);
  assert.equal(told(`use "./a" as *\nrecipe b version "1.0.0" {\n  quantize linear as W4A16\n}\n`), ['duplicate-name 1']);
  assert.equal(told('use "./a" as *\nrecipe r version "1.0.0" {\n  apply c()\n}\n'), ['unknown-recipe 3']);
});

test('every file of the standard library holds the recipe of its name, and its index uses it', () => {
  const index = readFileSync('stdlib/index.qrecipe', 'utf8');
  const files = (readdirSync('stdlib', { recursive: true }) as string[]).filter((f) => f.endsWith('.qrecipe') && f !== 'index.qrecipe');
  for (const f of files) {
    const named = parse(readFileSync(`stdlib/${f}`, 'utf8'), f).ast.items.map((i) => (i.kind === 'recipe' ? i.name.name : i.kind));
    assert.equal(named, [f.replace(/^.*\/|\.qrecipe$/g, '')], f);
    assert.match(index, `use "./${f}" as *\n`);
  }
});

test('the standard library and all recipes of the repository check and are formatted', () => {
  const files = ['stdlib', 'recipes'].flatMap((folder) =>
    (readdirSync(folder, { recursive: true }) as string[]).filter((f) => f.endsWith('.qrecipe')).map((f) => `${folder}/${f}`),
  );
  for (const path of files) {
    const { diagnostics } = check({ path, text: readFileSync(path, 'utf8') }, nodeResolver(path));
    assert.equal(
      diagnostics.map((d) => d.message),
      [],
      path,
    );
  }
});

test('10,000 lines are checked without a mistake', () => {
  const lines = ['recipe big version "1.0.0" (group = 32) {', '  let body = linear and not path("lm_head")'];
  for (let i = 0; lines.length < 9999; i++) {
    lines.push(`  quantize weight of path("layers.${i}.**") and body as int4 { group: group, scale: mse(80, p: 2.4) } # layer ${i}`);
    lines.push(`  let b${i} in [4, 8] each body and path("layers.${i}.*")`);
    lines.push(`  search b${i} { objective: sqnr(layer), budget: mean_bits(body) <= 4.5, method: ilp }`);
  }
  const { program } = check({ path: 'big', text: [...lines, '}'].join('\n') });
  assert.is(program?.recipes[0]?.statements.length, lines.length - 2);
});

test('the reference has a page for every code and every kind, and qc docs finds every name', () => {
  const pages = new Map(docsPages().map((p) => [p.path, p.text]));
  for (const c of codes) assert.ok(pages.get(`codes/${c.code}.md`)?.includes(c.doc), c.code);
  for (const link of [...pages].flatMap(([from, text]) =>
    [...text.matchAll(/\]\(([\w./-]+\.md)\)/g)].map((m) => (from.startsWith('codes/') ? `codes/${m[1]}` : m[1]!)),
  )) {
    assert.ok(pages.has(link), `the page ${link} is linked and there`);
  }
  assert.match(reference('mse').text, /mse \(law\)[\s\S]*steps[\s\S]*mse \(metric\)/);
  assert.throws(
    () => reference('linaer'),
    (e: unknown) => e instanceof QcError && e.diagnostics[0]?.hint === 'Did you mean `linear`?',
  );
});

test('every code that the compiler throws has a page', () => {
  const known = new Set(codes.map((c) => c.code));
  const files = ['compiler', 'runtime']
    .flatMap((d) => readdirSync(d, { recursive: true }).map((f) => `${d}/${f}`))
    .filter((f) => f.endsWith('.ts') && !f.includes('node_modules'));
  const thrown = files.flatMap((f) =>
    [...readFileSync(f, 'utf8').matchAll(/(?:\b(?:fail|failAt)\(\s*|\bcode: )'([a-z]+(?:-[a-z0-9]+)*)'/g)].map((m) => `${m[1]} in ${f}`),
  );
  assert.equal(
    thrown.filter((t) => !known.has(t.split(' ')[0]!)),
    [],
    'compiler/check/codes.ts says what each code means',
  );
});

test.run();
