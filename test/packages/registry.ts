/** A real npm registry on loopback, with nothing behind it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Registry {
  /** What npm needs to know of it. */
  readonly env: Record<string, string>;
  readonly folder: string;
  close(): Promise<void>;
}

export async function registry(): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), 'qc-registry-'));
  const { runServer } = createRequire(import.meta.url)('verdaccio') as { runServer(config: object): Promise<Server> };
  const everybody = { access: '$all', publish: '$all', unpublish: '$all' };
  const server = await runServer({
    self_path: join(folder, 'config.yaml'),
    configPath: join(folder, 'config.yaml'),
    storage: join(folder, 'storage'),
    auth: {},
    uplinks: {},
    packages: { '@*/*': everybody, '**': everybody },
    log: { type: 'stdout', level: 'fatal' },
    web: { enable: false },
    publish: { allow_offline: true },
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const config = join(folder, 'npmrc');
  writeFileSync(config, `registry=http://127.0.0.1:${port}/\n//127.0.0.1:${port}/:_authToken=none\nfund=false\naudit=false\n`);
  return {
    folder,
    env: { npm_config_userconfig: config, npm_config_registry: `http://127.0.0.1:${port}/`, npm_config_cache: join(folder, 'cache') },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
