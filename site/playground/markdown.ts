/** The little Markdown that the reference is written in, as elements: headings, paragraphs, tables, `code`. Text stays text. */

const element = (tag: string, text?: string): HTMLElement => {
  const e = document.createElement(tag);
  if (text !== undefined) inline(e, text);
  return e;
};

function inline(parent: HTMLElement, text: string): void {
  for (const part of text.replace(/\[([^\]]+)\]\([^)]*\)/g, '$1').split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)/)) {
    const [, tick, strong, em] = /^`([^`]+)`$|^\*\*([^*]+)\*\*$|^\*([^*]+)\*$/.exec(part) ?? [];
    if (tick !== undefined) parent.append(Object.assign(document.createElement('code'), { textContent: tick }));
    else if (strong !== undefined) parent.append(Object.assign(document.createElement('strong'), { textContent: strong }));
    else if (em !== undefined) parent.append(Object.assign(document.createElement('em'), { textContent: em }));
    else parent.append(part);
  }
}

function table(lines: readonly string[]): HTMLElement {
  const cells = (line: string) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((c) => c.trim().replaceAll('\\|', '|'));
  const [head = '', , ...body] = lines;
  const t = element('table');
  const row = (line: string, tag: string) => {
    const tr = element('tr');
    tr.append(...cells(line).map((c) => element(tag, c)));
    return tr;
  };
  t.append(row(head, 'th'), ...body.map((l) => row(l, 'td')));
  return t;
}

export function markdown(text: string): DocumentFragment {
  const out = document.createDocumentFragment();
  for (const block of text.trim().split(/\n{2,}/)) {
    const lines = block.split('\n');
    const heading = /^#+ (.*)$/.exec(lines[0]!);
    if (lines[0]!.startsWith('```'))
      out.append(Object.assign(document.createElement('pre'), { textContent: lines.slice(1, -1).join('\n') }));
    else if (heading) out.append(element('h4', heading[1]));
    else if (lines[0]!.startsWith('|')) out.append(table(lines));
    else out.append(element('p', lines.join(' ')));
  }
  return out;
}
