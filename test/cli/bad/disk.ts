import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { floats, small } from '../small-model.ts';
import { type Bad, w4 } from './types.ts';

const files = { 'm.onnx': small(), 'r.qrecipe': w4 };
const to = (...more: string[]) => ['compile', 'm.onnx', 'r.qrecipe', '-o', ...more];

/** A file system of `size` at <dir>/disk; needs root. */
const mount = (options: string, fill?: (at: string) => void) => ({
  prepare(dir: string): string | undefined {
    const at = join(dir, 'disk');
    mkdirSync(at);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { stdio: 'ignore' });
      fill?.(at);
      return undefined;
    } catch {
      return 'no permission to mount a file system';
    }
  },
  cleanup(dir: string): void {
    try {
      execFileSync('umount', [join(dir, 'disk')], { stdio: 'ignore' });
    } catch {}
  },
});

export const disk: readonly Bad[] = [
  { name: 'output is there already', argv: to('o.onnx'), files: { ...files, 'o.onnx': 'precious' } },
  { name: 'output would replace the model', argv: to('m.onnx', '--force'), files },
  { name: 'output is a folder', argv: to('.'), files },
  { name: 'folder of the output missing', argv: to('no/o.onnx'), files },
  { name: 'folder of the output is a file', argv: to('r.qrecipe/o.onnx'), files },
  { name: 'report is there already', argv: to('o.onnx', '--report', 'r.html'), files: { ...files, 'r.html': 'precious' } },
  { name: 'init does not overwrite', argv: ['init', 'm.onnx', '-o', 'r.qrecipe'], files },
  { name: 'read-only file system', argv: to('disk/o.onnx'), files, ...mount('size=1m,ro') },
  {
    name: 'disk full',
    argv: to('disk/o.onnx'),
    files: { 'm.onnx': small({ weight: floats([64, 4096]) }), 'r.qrecipe': w4 },
    ...mount('size=64k', (at) => writeFileSync(join(at, 'filler'), new Uint8Array(40_000))),
  },
];
