/** The command line, as it describes itself. */
import { readdirSync } from 'node:fs';
import { run } from '../../compiler/cli/run.ts';
import type { SitePage } from './pages.ts';

async function help(...argv: string[]): Promise<string> {
  let text = '';
  const say = (t: string) => {
    text += t;
  };
  await run([...argv, '--help'], {
    out: say,
    err: say,
    tty: false,
    color: false,
    columns: 100,
    env: {},
    cwd: process.cwd(),
    stdin: async () => '',
  });
  return text.trimEnd();
}

export async function cliPage(): Promise<SitePage> {
  const names = readdirSync('compiler/cli/commands')
    .filter((f) => /^[a-z].*\.ts$/.test(f))
    .map((f) => f.replace(/\.ts$/, ''))
    .sort();
  const parts = [];
  for (const name of names) parts.push(`## qc ${name}`, `\`\`\`text\n${await help(name)}\n\`\`\``);
  const text = ['# Command line', `\`\`\`text\n${await help()}\n\`\`\``, ...parts].join('\n\n');
  return { path: 'reference/cli.md', source: 'docs/reference/cli.md', text: `${text}\n` };
}
