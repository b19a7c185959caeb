/** Fenced code blocks of Markdown, with where they stand and what their info string asks of the tests. */
export interface Block {
  readonly file: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** Words behind the language: `compile=vit` → { compile: 'vit' }, `run` → { run: '' }. */
  readonly asks: Readonly<Record<string, string>>;
  readonly text: string;
}

export function blocks(file: string, markdown: string): Block[] {
  const found: Block[] = [];
  let open: { fence: string; line: number; info: string; body: string[] } | undefined;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^\s*(`{3,}|~{3,})(.*)$/.exec(line);
    if (open && fence && fence[1]!.startsWith(open.fence) && fence[2]!.trim() === '') {
      const [language = '', ...words] = open.info.trim().split(/\s+/);
      const asks = Object.fromEntries(words.map((w) => [w.replace(/=.*/, ''), w.includes('=') ? w.slice(w.indexOf('=') + 1) : '']));
      found.push({ file, line: open.line, language, asks, text: `${open.body.join('\n')}\n` });
      open = undefined;
    } else if (open) open.body.push(line);
    else if (fence) open = { fence: fence[1]!, line: i + 1, info: fence[2]!, body: [] };
  }
  return found;
}

/** A block may be a file, or statements of a recipe: those become a file. */
export const asFile = (text: string): string =>
  /^\s*(use|recipe|let .*\n+\s*recipe)\b/m.test(text.replace(/^\s*#.*$/gm, '')) ? text : `recipe block version "1.0.0" {\n${text}}\n`;
