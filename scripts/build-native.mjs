// Builds the native addon with cargo where cargo is; elsewhere the committed wasm module does the work.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const workspace = fileURLToPath(new URL('../runtime/native/', import.meta.url));
const target = process.env['CARGO_TARGET_DIR'] ?? `${workspace}target`;
const library = { win32: 'qc_node.dll', darwin: 'libqc_node.dylib' }[process.platform] ?? 'libqc_node.so';
const addon = `${workspace}qc.${process.platform}-${process.arch}.node`;

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
    execFileSync('cargo', ['build', '--release', '--locked', '--quiet', '--package', 'qc-node'], {
      cwd: workspace,
      stdio: 'inherit',
      env: { CARGO_BUILD_JOBS: '2', ...process.env },
    });
    // Renamed into place: a running process may have the old one mapped.
    copyFileSync(`${target}/release/${library}`, `${addon}.tmp`);
    renameSync(`${addon}.tmp`, addon);
    console.log(`native: runtime/native/qc.${process.platform}-${process.arch}.node`);
  } catch (error) {
    console.error(`native: cargo build failed (${error.message})${existsSync(addon) ? '; the addon of an earlier build stays' : ''}`);
    process.exitCode = 1;
  }
}
