import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly output?: string;
  readonly check?: boolean;
}

/** `qc api`: what a recipe package promises. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'api [folder]',
    'print the recipes of a package: parameters, defaults, domains',
    (c) => c.option('-o, --output <file>', 'write it there').option('--check', 'with -o: change nothing; status 1 if the file is stale'),
    async ([folder], options, io) => {
      const [
        { fail },
        { join, resolve },
        { existsSync, readFileSync },
        { packageOf, readManifest },
        { api },
        { apiText },
        { writeText },
        { nodeHost },
      ] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('node:path'),
        import('node:fs'),
        import('../../node/package.ts'),
        import('../../node/publish.ts'),
        import('../../api.ts'),
        import('../files.ts'),
        import('../../node/host.ts'),
      ]);
      const at = resolve(io.cwd, folder ?? '.');
      const json = readManifest(join(at, 'package.json'), folder ?? '.') as Record<string, unknown>;
      const pack = typeof json['error'] === 'string' ? { error: json['error'] } : packageOf(json, at, folder ?? '.');
      if ('error' in pack)
        return fail('package-unfit', pack.error, '`qc api FOLDER` reads a folder with a package.json that has "qrecipe".');
      const surface = api(pack);
      const text = options.json
        ? `${JSON.stringify({ name: pack.name, version: pack.version, ...surface }, null, 2)}\n`
        : apiText(surface, `${pack.name} ${pack.version}`);
      if (options.output === undefined) {
        io.out(text);
        return exit.done;
      }
      const to = resolve(io.cwd, options.output);
      const stale = !existsSync(to) || readFileSync(to, 'utf8') !== text;
      if (options.check) {
        if (stale && !options.quiet) io.err(`${options.output} is stale: qc api ${folder ?? '.'} -o ${options.output}\n`);
        return stale ? exit.failed : exit.done;
      }
      const host = await nodeHost();
      try {
        if (stale) await writeText(host, io, options.output, text, true);
      } finally {
        await host.close();
      }
      return exit.done;
    },
  );
