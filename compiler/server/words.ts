/** What a scan of a recipe's words finds. */
import type { IToken } from 'chevrotain';
import type { Callee, Want } from './want.ts';

export interface Word {
  readonly token: IToken;
  readonly role: 'name' | 'key' | 'member' | 'text' | 'number' | 'verb' | 'word';
  readonly want: Want;
  /** Index of the recipe that it lies in. */
  readonly recipe?: number;
  /** `key` of a call or record: whose. */
  readonly callee?: Callee;
}
export interface Declaration {
  readonly kind: 'use' | 'recipe' | 'param' | 'let' | 'variable' | 'schedule';
  readonly token: IToken;
  /** The recipe whose name it is; undefined: the file's. */
  readonly recipe?: number;
  readonly from: number;
  /** Where its statement ends. */
  to: number;
  /** use: what is used. */
  readonly source?: IToken;
}
/** A call or a record, with what it was given. */
export interface Call {
  readonly callee: Callee;
  readonly name: IToken;
  readonly form: 'call' | 'record';
  readonly given: string[];
  readonly open: IToken;
  close?: IToken;
}
export interface Statement {
  readonly verb: string;
  readonly token: IToken;
  readonly recipe?: number;
  to: number;
}
export interface Scan {
  readonly words: readonly Word[];
  readonly declarations: readonly Declaration[];
  readonly calls: readonly Call[];
  readonly statements: readonly Statement[];
  readonly pairs: readonly (readonly [IToken, IToken])[];
  /** What may stand next, at the end of what was read. */
  readonly next: Want;
  readonly inRecipe?: number;
}
