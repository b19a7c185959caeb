/** `text("name")`: raw text and a tokenizer.json → windows of token ids for a language model. */
import type { Tokenizer } from '@huggingface/tokenizers';
import { fail, QcError } from '../../grammar/diagnostics.ts';
import type { Host } from '../host.ts';
import { checkFeeds } from './feeds.ts';
import { type Source, splitPath } from './source.ts';
import { tokenFeeds } from './tokens.ts';
import { cutWindows } from './windows.ts';

export interface TextOptions {
  /** Number of windows at most; default 128. */
  readonly samples?: number;
  /** Tokens of a window; default 512. */
  readonly length?: number;
  /** Folder where tokenizer.json is looked for when it does not lie beside the text (the model's folder). */
  readonly tokenizerFolder?: string;
}
const together = 4;

/**
 * Windows spread evenly over the text files of `path` (a folder, or one file). Token ids go to `input_ids`; masks, positions and empty caches are made from
 * the graph's input types. Errors: data-empty, text-tokenizer, text-short, text-input.
 */
export async function textSource(host: Host, path: string, options: TextOptions = {}): Promise<Source> {
  const samples = options.samples ?? 128;
  const length = options.length ?? 512;
  const single = /\.[a-z0-9]+$/i.test(splitPath(path).name);
  const { folder, name } = single ? splitPath(path) : { folder: path, name: '' };
  const names = single ? [name] : (await host.list(folder)).filter((n) => !n.startsWith('.') && !n.endsWith('.json'));
  if (names.length === 0) fail('data-empty', `the folder ${path} has no text files`, 'put UTF-8 text files there');
  const tokenizer = await loadTokenizer(host, [folder, ...(options.tokenizerFolder === undefined ? [] : [options.tokenizerFolder])]);
  const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
  return {
    describe: `text(${splitPath(path).name}), windows of ${length} tokens`,
    async *read(graph) {
      const files = await Promise.all(names.map((n) => host.open(folder, n)));
      try {
        const windows = await cutWindows(files, encode, samples, length, path);
        const ids = graph.inputs.find((i) => i.name === 'input_ids') ?? graph.inputs.find((i) => i.name === 'tokens');
        if (!ids)
          return fail('text-input', `text needs a graph input "input_ids"; the inputs are ${graph.inputs.map((i) => i.name).join(', ')}`);
        const batch = typeof ids.shape?.[0] === 'number' ? ids.shape[0] : together;
        for (let at = 0; at < windows.length; at += batch) {
          const chosen = windows.slice(at, at + batch);
          if (chosen.length < batch && typeof ids.shape?.[0] === 'number') return;
          const label = `${path}, windows ${at + 1}–${at + chosen.length}`;
          const feeds = tokenFeeds(graph, chosen);
          checkFeeds(graph, new Map(Object.entries(feeds)), label);
          yield { label, feeds, samples: chosen.length };
        }
      } finally {
        await Promise.all(files.map((f) => f.close()));
      }
    },
  };
}

async function loadTokenizer(host: Host, folders: readonly string[]): Promise<Tokenizer> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  for (const folder of folders) {
    if (!(await host.list(folder)).includes('tokenizer.json')) continue;
    const at = `${folder}/tokenizer.json`;
    const file = await host.open(folder, 'tokenizer.json');
    const bytes = await file.read(0, file.size).finally(() => file.close());
    try {
      return new Tokenizer(JSON.parse(new TextDecoder().decode(bytes)), {});
    } catch (error) {
      if (error instanceof QcError) throw error;
      fail('text-tokenizer', `${at} is not a tokenizer that can be read (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  return fail('text-tokenizer', `there is no tokenizer.json in ${folders.join(' or ')}`, 'put it beside the text or beside the model');
}
