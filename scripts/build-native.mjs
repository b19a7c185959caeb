// Builds the native addon and the library of operators with cargo where cargo is; elsewhere the committed wasm module does the work.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const workspace = fileURLToPath(new URL('../runtime/native/', import.meta.url));
const target = process.env['CARGO_TARGET_DIR'] ?? `${workspace}target`;
const built = (crate) => ({ win32: `${crate}.dll`, darwin: `lib${crate}.dylib` })[process.platform] ?? `lib${crate}.so`;
const suffix = { win32: 'dll', darwin: 'dylib' }[process.platform] ?? 'so';
const products = {
  [built('qc_node')]: `qc.${process.platform}-${process.arch}.node`,
  [built('qc_ops')]: `qc-ops.${process.platform}-${process.arch}.${suffix}`,
};

const hasCargo = () => {
  try {
    execFileSync('cargo', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

if (!hasCargo()) {
  console.log('native: cargo is missing; the wasm module runtime/wasm/qc.wasm does the work');
} else {
  try {
    execFileSync('cargo', ['build', '--release', '--locked', '--quiet', '--package', 'qc-node', '--package', 'qc-ops'], {
      cwd: workspace,
      stdio: 'inherit',
      env: { CARGO_BUILD_JOBS: '2', ...process.env },
    });
    // Renamed into place: a running process may have the old one mapped.
    for (const [from, to] of Object.entries(products)) {
      copyFileSync(`${target}/release/${from}`, `${workspace}${to}.tmp`);
      renameSync(`${workspace}${to}.tmp`, `${workspace}${to}`);
    }
    console.log(`native: ${Object.values(products).map((p) => `runtime/native/${p}`).join(', ')}`);
  } catch (error) {
    console.error(`native: cargo build failed (${error.message})${Object.values(products).some((p) => existsSync(workspace + p)) ? '; what an earlier build made stays' : ''}`);
    process.exitCode = 1;
  }
}
