import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc why`: the chain of `use`s that brings a package in. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'why <package> <recipe...>',
    'print which recipes use a package, and through which others',
    (c) => c,
    async ([name, ...files], options, io) => {
      const [{ fail }, { closureOf }, { readText }] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('../../node/closure.ts'),
        import('../files.ts'),
      ]);
      const found: { recipe: string; version: string; chain: string[] }[] = [];
      for (const file of files) {
        const { requests, packages } = closureOf({ path: file, text: await readText(io, file) }, io.cwd);
        const version = (n: string): string => packages.find((p) => p.name === n)?.version ?? '';
        const chains = (n: string, seen: readonly string[]): string[][] =>
          requests
            .filter((r) => r.name === n)
            .flatMap((r) => {
              const link = `${r.from} uses "${r.name}@${r.range}"`;
              const by = packages.find((p) => r.from.startsWith(`${p.name}@${p.version}/`))?.name;
              if (by === undefined) return [[link]];
              return seen.includes(by) ? [] : chains(by, [...seen, by]).map((c) => [...c, link]);
            });
        for (const chain of chains(name!, [name!])) found.push({ recipe: file, version: version(name!), chain });
      }
      if (found.length === 0)
        fail('package-missing', `none of ${files.join(', ')} uses ${name}`, 'qc check shows whether every `use` is found.');
      if (options.json) io.out(`${JSON.stringify({ ok: true, package: name, found }, null, 2)}\n`);
      else for (const f of found) io.out(`${name}@${f.version}\n${f.chain.map((l, i) => `${'  '.repeat(i + 1)}${l}\n`).join('')}`);
      return exit.done;
    },
  );
