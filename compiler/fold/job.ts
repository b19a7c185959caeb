/** What a transform gets to work on one statement's part of a model, and what it reports. */
import type { Arrays } from '../calibrate/statistics.ts';
import type { EvalContext, Value } from '../host.ts';
import type { View } from '../match/view.ts';
import type { QType } from '../plan/types.ts';
import type { Ref } from '../schema.ts';
import type { Site } from '../sites.ts';
import type { Layout } from './layout.ts';
import type { Rewriter } from './rewriter.ts';

export interface Need {
  readonly value: string;
  readonly observer: Ref;
}
export interface Observed {
  get(value: string, observer: Ref): Arrays;
}

/** One application, for the ledger and the proof. */
export interface Applied {
  /** `layers.0.mlp.up_proj -> layers.0.mlp.down_proj`. */
  readonly name: string;
  readonly detail: string;
  /** It changes what the model computes: measured and reported, not proved. */
  readonly approximate?: true;
  /** Values that are no longer what they were. */
  readonly touched: readonly string[];
  /** Values that the application must leave as they were: what its readers yield. */
  readonly same: readonly string[];
  /** Values that are mapped in a known way: `undo` brings an array of that shape back. */
  readonly mapped?: ReadonlyMap<string, (x: Float32Array, shape: readonly number[]) => void>;
  /** Inputs of the model that hold such values, and how data of the float model becomes data of the rewritten one. */
  readonly caches?: ReadonlyMap<string, (x: Float32Array, shape: readonly number[]) => void>;
}

export interface Job {
  readonly view: View;
  readonly sites: readonly Site[];
  /** The statement's edges. */
  readonly edges: readonly { readonly from: Site; readonly to: Site; readonly tied: boolean }[];
  /** The statement's sites, where it selects no edge. */
  readonly picked: readonly Site[];
  readonly rewriter: Rewriter;
  readonly ctx: EvalContext;
  /** Observes on calibration data, once for each need and state of the model. */
  observe(needs: readonly Need[]): Promise<Observed>;
  /** Values of the model as it is, computed from these inputs. Error: Refusal not-constant where they need others. */
  run(values: readonly string[], feeds: Readonly<Record<string, Value>>): Promise<Readonly<Record<string, Value>>>;
  /** The type that the plan gives a port. */
  typeOf(site: Site, port: string): QType | undefined;
  /** Which start a learnt map takes. */
  readonly restart: number;
  applied(a: Applied): void;
}

/** Scales an array of a value by its channel. */
export function byChannel(l: Layout, f: (channel: number) => number): (x: Float32Array, shape: readonly number[]) => void {
  return (x, shape) => {
    const moves = shape.map((n, axis) => {
      const digits = l.axes[axis] ?? [];
      return Array.from({ length: n }, (_, i) => {
        let [rest, move] = [i, 0];
        for (const d of [...digits].reverse()) {
          move += (rest % d.size) * d.stride;
          rest = Math.floor(rest / d.size);
        }
        return move;
      });
    });
    const walk = (axis: number, at: number, channel: number): number => {
      if (axis === shape.length) {
        x[at]! *= f(channel);
        return at + 1;
      }
      let next = at;
      for (const m of moves[axis]!) next = walk(axis + 1, next, channel + m);
      return next;
    };
    if (x.length > 0) walk(0, 0, l.base);
  };
}
