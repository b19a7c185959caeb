/** The output that carries an input on from run to run: `past_ssm.0` and `present_ssm.0`. */
export const successor = (past: string): string =>
  past.startsWith('past_key_values.') ? past.replace('past_key_values.', 'present.') : past.replace('past', 'present');
