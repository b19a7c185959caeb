/** One case of wrong input. `<dir>` in `argv` is a fresh folder with `files` in it, which is also the working directory. */
export interface Bad {
  readonly name: string;
  readonly argv: readonly string[];
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** What files alone cannot say; gives a reason where the case cannot be had on this machine. */
  readonly prepare?: (dir: string) => string | undefined;
  readonly cleanup?: (dir: string) => void;
  readonly status?: 1 | 2;
}

/** A recipe around statements. */
export const recipe = (...statements: string[]): string => `recipe r version "1.0.0" {\n${statements.map((s) => `  ${s}\n`).join('')}}\n`;
export const w4 = recipe('quantize linear as W4A16 { group: 32 }');
export const w8 = recipe('calibrate data("calib")', 'quantize linear as W8A8_STATIC');
