/** What words of the language mean at their place, with their documentation. */

import { type Entry, find, portNames, type RoleFacts, roles, type Selector, selectorOf } from '../catalog/index.ts';
import { entryPage, rolePage, table, text } from '../check/entry-page.ts';
import { wantedOf } from '../check/param.ts';
import type { Param, Schema } from '../schema.ts';
import { entryFor, paramOf, takes } from './want.ts';
import type { Word } from './words.ts';

export type Builtin =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'role'; readonly role: RoleFacts; readonly member?: string }
  | { readonly kind: 'selector'; readonly selector: Selector }
  | { readonly kind: 'port'; readonly name: string }
  | { readonly kind: 'choice'; readonly name: string; readonly param: Param<unknown> }
  | { readonly kind: 'key'; readonly name: string; readonly of: string; readonly param: Param<unknown> };

/** The built-in thing that a word names, if it is not a name of the recipe. */
export function builtinOf(w: Word): Builtin | undefined {
  const name = w.token.image;
  if (w.role === 'key') {
    const param = w.callee?.kind === 'known' ? paramOf(w.callee.params, name) : undefined;
    return param && w.callee ? { kind: 'key', name, of: w.callee.name, param } : undefined;
  }
  if (w.role === 'member') {
    const role = w.want.at === 'member' ? roles.get(w.want.of) : undefined;
    return role && { kind: 'role', role, member: name };
  }
  if (w.role !== 'name') return undefined;
  if (w.want.at === 'name') {
    const entry = find(w.want.of, name);
    return entry && { kind: 'entry', entry };
  }
  if (w.want.at !== 'value' && w.want.at !== 'arg') return undefined;
  const { param } = w.want;
  if (choices(param).includes(name)) return { kind: 'choice', name, param };
  const entry = entryFor(name, param);
  if (entry) return { kind: 'entry', entry };
  if (takes(param, 'selection') || takes(param, 'expression')) {
    if (w.want.at === 'value' && w.want.ports && portNames.has(name) && !roles.has(name)) return { kind: 'port', name };
    const role = roles.get(name);
    if (role) return { kind: 'role', role };
    const selector = selectorOf.get(name);
    if (selector) return { kind: 'selector', selector };
    if (w.want.at === 'value' && w.want.ports && portNames.has(name)) return { kind: 'port', name };
  }
  return undefined;
}

/** The words of an enumeration. */
export function choices(p: Param<unknown>): readonly string[] {
  if (p.is.kind === 'choice') return p.is.of;
  if (p.is.kind === 'bool') return ['yes', 'no'];
  return p.is.kind === 'either' ? p.is.of.flatMap(choices) : [];
}

const entryDoc = (e: Entry): string => titled(entryPage(e), e.name, e.planned ? `${e.kind}, planned` : e.kind);
/** Links of the reference lead nowhere here. */
const unlinked = (page: string): string => page.replace(/\[(\w+)\]\(\w+\.md\)/g, '$1');
export const parameters = (schema: Schema, positional?: readonly string[]): string => unlinked(table(schema, positional));
const titled = (page: string, name: string, what: string): string => unlinked(page).replace(/^## .*$/m, `**${name}** (${what})`);
/** A parameter in a sentence. */
export function paramDoc(name: string, of: string, p: Param<unknown>): string {
  const given = p.default === undefined ? '' : ` Default: \`${shown(p.default)}\`.`;
  const also = p.aliases?.length ? ` Also \`${p.aliases.join('`, `')}\`.` : '';
  return text(`**${name}** of \`${of}\`: ${wantedOf(p)}`, `${p.doc}${given}${also}`);
}
export function shown(v: unknown): string {
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (Array.isArray(v)) return `[${v.map(shown).join(', ')}]`;
  if (typeof v === 'object' && v !== null && 'name' in v) return String(v.name);
  return String(v);
}

/** Pages of entries, made once each: completion shows them by the hundred. */
const pages = new WeakMap<Entry, string>();

/** The documentation of a built-in, in Markdown. */
export function docOf(b: Builtin): string {
  switch (b.kind) {
    case 'entry': {
      const made = pages.get(b.entry) ?? entryDoc(b.entry);
      pages.set(b.entry, made);
      return made;
    }
    case 'role':
      return titled(rolePage(b.role.name), b.member ? `${b.role.name}.${b.member}` : b.role.name, b.member ? 'member of a role' : 'role');
    case 'selector':
      return text(`**${b.selector.name}** (selection)`, b.selector.doc, parameters(b.selector.params, b.selector.positional));
    case 'port': {
      const of = [...roles.values()].filter((r) => r.ports.includes(b.name)).map((r) => `\`${r.name}\``);
      return text(`**${b.name}** (port)`, `Of ${of.join(', ')}.`);
    }
    case 'choice':
      return text(`**${b.name}**`, b.param.doc);
    case 'key':
      return paramDoc(b.name, b.of, b.param);
  }
}
