import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderReport } from '../../compiler/report/page.ts';
import { coverage, groups, sizes, worst } from '../../compiler/report/summary.ts';
import { sample } from './sample-report.ts';

const page = await renderReport(sample);

test('the page needs nothing from outside', () => {
  const urls = [...page.matchAll(/https?:\/\/[^"'\s)]+/g)].map((m) => m[0]).filter((u) => !u.startsWith('http://www.w3.org/'));
  assert.equal(urls, []);
  assert.not.match(page, /<script|<link|@import|url\((?!#)/);
  assert.not.match(page, /NaN|undefined|\[object/);
});

test('what the recipe and the names hold is escaped', () => {
  assert.match(page, '&lt;b&gt;escaped&lt;/b&gt;');
  assert.not.match(page, '<b>escaped');
});

test('every plot is there for a desk and for a phone', () => {
  const svgs = page.match(/<svg /g)!.length;
  const histograms = worst(sample.ports, 6).reduce((n, s) => n + s.ports.filter((p) => p.histogram).length, 0);
  assert.is(svgs, 2 + 2 + histograms);
  assert.is(page.match(/<svg [^>]*width="100%"/g)!.length, svgs, 'pictures scale with the page');
});

test('broken and kept conditions, ledger and choices are told', () => {
  assert.match(page, '1 broken');
  assert.match(page, '✗ broken');
  assert.match(page, '✓ holds');
  assert.match(page, 'Identity initializer read through');
});

test('worst layers come first, by the output where it was measured', () => {
  const of = worst(sample.ports, 6);
  assert.is(of.length, 6);
  assert.equal(
    of.map((s) => s.db),
    of.map((s) => s.db).sort((a, b) => a - b),
  );
  const lowest = Math.min(...sample.ports.flatMap((p) => (p.outputSqnr === undefined ? [] : [p.outputSqnr])));
  assert.is(of[0]!.db, lowest);
});

test('groups count layers and bytes; coverage is by parameters of linear and conv', () => {
  const [first] = groups(sample.ports);
  assert.equal([first!.role, first!.port, first!.count], ['linear', 'weight', 42]);
  assert.is(first!.parameters, 6 * (4 * 65536 + 3 * 131072));
  const all = first!.parameters + 524288;
  assert.is(coverage(sample.ports), first!.parameters / all);
});

test('the size bars add up to the files', () => {
  for (const [stage, bytes] of [
    ['before', sample.model.bytes],
    ['after', sample.output.bytes],
  ] as const)
    assert.is(
      sizes({ ...sample, model: { path: '', bytes: 30e6 }, output: { path: '', bytes: 9e6 } })
        .filter((r) => r.stage === stage)
        .reduce((n, r) => n + r.bytes, 0),
      stage === 'before' ? 30e6 : 9e6,
      `${stage} ${bytes}`,
    );
});

test.run();
