/** The grammar itself, which running programs do not validate again. */
import { EmbeddedActionsParser, type ParserMethod } from 'chevrotain';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeLexer } from '../../grammar/parser.ts';
import { Grammar } from '../../grammar/statement-rules.ts';
import { tokens } from '../../grammar/tokens.ts';

test('no rule is ambiguous and no token hides another', () => {
  assert.equal(makeLexer({ validate: true }).lexerDefinitionErrors, []);
  // throws where alternatives cannot be told apart, a rule is left-recursive or a name stands twice
  assert.not.throws(() => new Grammar({ validate: true }));
});

test('validation finds a rule that is left-recursive', () => {
  class Recursive extends EmbeddedActionsParser {
    readonly loop: () => unknown = this.RULE('loop', () => this.SUBRULE(this.loop as ParserMethod<[], unknown>));
    constructor(skipValidations: boolean) {
      super(tokens, { skipValidations });
      this.performSelfAnalysis();
    }
  }
  assert.throws(() => new Recursive(false), /Left Recursion/);
});

test.run();
