//! The state of a task: read into [states, 32] floats before the first step, written back after the last.

use super::step::Tables;
use super::{After, Lanes, Scan, State, LANES};
use crate::math::{byte_of, code, of_byte};
use crate::transpose::transpose;

/// Thirty-two numbers: `values`, then `rest`.
#[inline(always)]
pub(super) unsafe fn fill(to: *mut f32, values: &[f32], rest: f32) {
    let to = &mut *to.cast::<Lanes>();
    let (head, tail) = to.split_at_mut(values.len());
    head.copy_from_slice(values);
    tail.fill(rest);
}

/// The state [count, states] as [states, 32], in numbers; a quantized one that came as floats is rounded.
#[inline(always)]
pub(super) unsafe fn read_state(s: &Scan, held: usize, count: usize, h: *mut f32, tables: &Tables) {
    let Tables { scale, low, states, .. } = *tables;
    if count < LANES {
        h.write_bytes(0, states * LANES);
    }
    match s.past {
        State::Floats(past) => {
            transpose(past.as_ptr().add(held), states, count, states, h, LANES);
            if !s.scale.is_empty() {
                for i in 0..states * LANES {
                    let step = *scale.add(i);
                    *h.add(i) = code(*h.add(i), step, *low.add(i)) * step;
                }
            }
        }
        State::Codes(past) => {
            let past = past.as_ptr().add(held);
            for l in 0..count {
                for n in 0..states {
                    let i = n * LANES + l;
                    *h.add(i) = of_byte(*past.add(l * states + n), *low.add(i));
                }
            }
            for i in 0..states * LANES {
                *h.add(i) *= *scale.add(i);
            }
        }
    }
}

/// The state [states, 32] as [count, states], in floats or in bytes.
#[inline(always)]
pub(super) unsafe fn write_state(after: &After, held: usize, count: usize, h: *mut f32, tables: &Tables) {
    let Tables { scale, low, states, .. } = *tables;
    match after {
        After::Floats(o) => transpose(h, LANES, states, count, o.at().add(held), states),
        After::Codes(o) => {
            for i in 0..states * LANES {
                *h.add(i) = code(*h.add(i), *scale.add(i), *low.add(i));
            }
            let to = o.at().add(held);
            for l in 0..count {
                for n in 0..states {
                    *to.add(l * states + n) = byte_of(*h.add(n * LANES + l));
                }
            }
        }
    }
}
