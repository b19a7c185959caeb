import type { Findings } from '../../../runtime/doctor.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

/** `qc doctor`: what this machine runs qc with, which operator runs on which kernel, and what is slower than it could be. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'doctor',
    'what this machine runs qc with, which kernels, and what is slower than it could be',
    (c) => c,
    async (_, options, io) => {
      const { diagnose } = await import('../../../runtime/doctor.ts');
      const found = await diagnose();
      if (options.json) io.out(`${JSON.stringify(found, null, 2)}\n`);
      else show(found, io);
      return found.ok ? exit.done : exit.failed;
    },
  );

function show(f: Findings, io: Io): void {
  const s = style(io);
  const row = (name: string, text: string | undefined, error?: string) =>
    io.out(`${s.bold(name.padEnd(14))}${text ?? s.yellow(error ?? 'not there')}\n`);
  row('qrecipe', f.version);
  row('machine', `${f.machine.platform}, ${f.machine.cpu}, ${f.machine.threads} threads, ${(f.machine.memory / 2 ** 30).toFixed(0)} GiB`);
  row('node', `${f.node.version}  ${f.node.path}`);
  row('ONNX Runtime', f.onnxruntime.library && `${f.onnxruntime.version}  ${f.onnxruntime.library}`, f.onnxruntime.error);
  row('native', f.native.path && `${f.native.version}  ${f.native.path}`, f.native.error);
  if (f.native.path) row('operators', f.native.library, 'the library for other ONNX Runtimes is not there');
  row(
    'wasm',
    f.wasm.bytes === undefined ? undefined : `${f.wasm.path}  ${(f.wasm.bytes / 1000).toFixed(0)} KB`,
    `${f.wasm.path} is not there`,
  );
  row('compiler', f.compiler.kind && `${f.compiler.kind}, ${f.compiler.isa}`, f.compiler.error);
  if (f.isa.sets.length) {
    const sets = f.isa.sets.map((i) => (i.name === f.isa.chosen ? s.green(i.name) : i.available ? i.name : s.dim(`${i.name} (not here)`)));
    row('kernels', sets.join(' '));
    if (f.isa.forced) row('QC_ISA', f.isa.forced);
  }
  if (f.operators.length) {
    const rows = f.operators.map((o) => [o.name, o.fallback ? s.yellow(`${o.variant} (no faster kernel)`) : o.variant]);
    io.out(`\n${table(['operator of qc.v1', 'kernel'], rows, s)}`);
  }
  for (const { what, why, hint } of f.slower) io.out(`\n${s.yellow('slower')}  ${what}: ${why}\n        ${s.dim(hint)}\n`);
  if (!f.slower.length && f.ok) io.out('\nEverything runs as fast as it can here.\n');
}
