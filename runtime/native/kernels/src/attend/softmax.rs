//! Softmax of a block of scores under a running maximum.

use crate::math::{exp, folded, LANES};
use crate::simd::Simd;

/// Products to e^(score − maximum), in place. `state`: the maximum and the sum so far, and what earlier sums are worth under the new maximum.
#[inline(always)]
pub(super) unsafe fn soften<S: Simd>(scale: f32, bias: Option<(*const f32, usize)>, x: &mut [f32], state: &mut [f32; 3]) {
    let [before, summed, _] = *state;
    let most = match bias {
        Some((bias, 1)) => {
            let bias = std::slice::from_raw_parts(bias, x.len());
            let mut most = i32::MIN;
            for (x, b) in x.iter_mut().zip(bias) {
                *x = *x * scale + b;
                most = most.max(ordered(*x));
            }
            most
        }
        other => {
            let add = other.map_or(0.0, |(bias, _)| *bias);
            let mut most = i32::MIN;
            for x in x.iter_mut() {
                *x = *x * scale + add;
                most = most.max(ordered(*x));
            }
            most
        }
    };
    let most = of_ordered(most);
    let most = if most > before || most.is_nan() { most } else { before };
    if most == f32::NEG_INFINITY && !x.iter().any(|x| x.is_nan()) && !summed.is_nan() {
        *state = [most, 0.0, 0.0];
        return x.fill(0.0);
    }
    for x in x.iter_mut() {
        *x = exp(*x - most);
    }
    let worth = exp(before - most);
    *state = [most, summed * worth + total::<S>(x), worth];
}

/// The bits of a float as an integer of the same order, a NaN at one of the ends: a maximum of integers becomes vectors.
#[inline(always)]
fn ordered(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

#[inline(always)]
fn of_ordered(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

/// The sum in one fixed order.
#[inline(always)]
unsafe fn total<S: Simd>(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = S::zero();
    for x in chunks {
        sums = S::plus(sums, S::load(x.as_ptr()));
    }
    let mut lanes = [0.0; LANES];
    S::store(sums, lanes.as_mut_ptr());
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    folded(lanes)
}
