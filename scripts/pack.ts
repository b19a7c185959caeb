// npm run pack: writes what is published into out/packages, folder and tarball: qrecipe, @qrecipe/std and the native package of a platform.
// usage: tsx scripts/pack.ts [--target TRIPLE] [--native-only]    another platform's binaries are built with cargo --target (docs/delivery.md)
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { libraryEnding, type Platform, packageOf, platforms, thisPlatform } from '../runtime/platforms.ts';

const { values: o } = parseArgs({ options: { target: { type: 'string' }, 'native-only': { type: 'boolean' } } });
const root = join(import.meta.dirname, '..');
const out = join(root, 'out/packages');
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown> & { version: string; files: string[] };

function stop(why: string): never {
  console.error(why);
  process.exit(1);
}

/** Where cargo put the two libraries of a platform; builds them where they are another's. */
function binaries(p: Platform, here: boolean): { addon: string; library: string } {
  const ending = libraryEnding(p.os);
  const native = join(root, 'runtime/native');
  if (here) {
    const [addon, library] = [join(native, `qc.${p.os}-${p.cpu}.node`), join(native, `qc-ops.${p.os}-${p.cpu}.${ending}`)];
    if (!existsSync(addon) || !existsSync(library)) stop('npm run build:native first');
    return { addon, library };
  }
  execFileSync('cargo', ['build', '--release', '--locked', '--target', p.target, '--package', 'qc-node', '--package', 'qc-ops'], {
    cwd: native,
    stdio: 'inherit',
  });
  const prefix = p.os === 'win32' ? '' : 'lib';
  const built = join(process.env['CARGO_TARGET_DIR'] ?? join(native, 'target'), p.target, 'release');
  return { addon: join(built, `${prefix}qc_node.${ending}`), library: join(built, `${prefix}qc_ops.${ending}`) };
}

function nativePackage(p: Platform, here: boolean): string {
  const folder = join(out, `native-${p.name}`);
  const { addon, library } = binaries(p, here);
  mkdirSync(folder, { recursive: true });
  cpSync(addon, join(folder, 'qc.node'));
  cpSync(library, join(folder, `qc-ops.${libraryEnding(p.os)}`));
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const manifest = {
    name: packageOf(p),
    version: own.version,
    description: `The native code of qrecipe for ${p.name}: solvers, and the operators of qc.v1.`,
    license: own['license'],
    os: [p.os],
    cpu: [p.cpu],
    ...(p.libc ? { libc: [p.libc] } : {}),
    engines: own['engines'],
    files: ['qc.node', `qc-ops.${libraryEnding(p.os)}`, 'LICENSE'],
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(
    join(folder, 'README.md'),
    `# ${packageOf(p)}\n\nThe native code of [qrecipe](https://www.npmjs.com/package/qrecipe) for this platform; qrecipe finds it. \`qc-ops.${libraryEnding(p.os)}\` is for other ONNX Runtimes (\`register_custom_ops_library\`).\n`,
  );
  return folder;
}

/** The published manifest: no development, and the native packages as optional dependencies, of which npm installs the one that fits. */
function mainPackage(): string {
  const folder = join(out, 'qrecipe');
  mkdirSync(folder, { recursive: true });
  for (const f of [...own.files, 'README.md', 'LICENSE']) {
    if (!existsSync(join(root, f))) stop(`${f} is missing: npm run build first`);
    cpSync(join(root, f), join(folder, f), { recursive: true });
  }
  const { devDependencies: _, scripts: __, workspaces: ___, overrides: ____, ...kept } = own;
  const optionalDependencies = Object.fromEntries(platforms.map((p) => [packageOf(p), own.version]));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ ...kept, optionalDependencies }, null, 2)}\n`);
  return folder;
}

const here = thisPlatform();
const platform = o.target ? platforms.find((p) => p.target === o.target) : here;
if (!platform)
  stop(
    o.target
      ? `there is no platform ${o.target}: ${platforms.map((p) => p.target).join(', ')}`
      : 'there is no native package for this machine',
  );
if (!o['native-only']) rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const folders = [nativePackage(platform, platform === here)];
if (!o['native-only']) folders.push(mainPackage(), join(root, 'stdlib'));
for (const folder of folders) {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: folder, encoding: 'utf8' }),
  ) as { name: string; filename: string; size: number; unpackedSize: number }[];
  console.log(
    `out/packages/${packed!.filename}  ${(packed!.size / 1e6).toFixed(2)} MB packed, ${(packed!.unpackedSize / 1e6).toFixed(2)} MB`,
  );
}
