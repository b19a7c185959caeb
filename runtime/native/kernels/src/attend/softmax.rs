//! Softmax of a block of scores under a running maximum.

use crate::math::{folded, LANES};
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
        *x = power(*x - most);
    }
    let worth = power(before - most);
    *state = [most, summed * worth + total::<S>(x), worth];
}

/// eˣ for x ≤ 0 with a relative error below 2·10⁻⁷, 0 below −87.3; NaN stays. As [`crate::math::exp`] with fused multiply-adds, which take a third less time.
#[inline(always)]
fn power(x: f32) -> f32 {
    const LOW: f32 = -87.3;
    const ROUND: f32 = 12_582_912.0;
    const LN2: (f32, f32) = (0.693_359_375, -2.121_944_4e-4);
    let c = if x < LOW { LOW } else { x };
    let shifted = c.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2.1, n.mul_add(-LN2.0, c));
    let mut p = 1.0 / 5040.0;
    for k in [720.0f32, 120.0, 24.0, 6.0, 2.0, 1.0] {
        p = r.mul_add(p, 1.0 / k);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let y = r.mul_add(p, 1.0) * power;
    if x < LOW { 0.0 } else { y }
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
