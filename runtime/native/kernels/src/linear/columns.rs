//! Sums of a weight's columns: what zero points of activations are multiplied by.

use super::int8::with_planes;
use crate::isa::dispatch;
use crate::layout::{Weight, COLUMNS, DEPTH};
use crate::simd::{codes, Simd};
use crate::Isa;

/// Σ_k (code − zero) of each group of `group` steps: [groups, 32] of one panel, of progressive weights with their steps.
pub fn column_sums(isa: Isa, w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    assert!(isa.available() && w.group % group == 0 && group % DEPTH == 0 && panel < w.panels() && to.len() == w.depth() / group * COLUMNS);
    // SAFETY: the sizes are checked, the machine has `isa`.
    unsafe { sum_columns(isa, w, group, panel, to) }
}
dispatch! { fn sum_columns(w: &Weight, group: usize, panel: usize, to: &mut [i32]) = sum_columns_of }

#[inline(always)]
unsafe fn sum_columns_of<S: Simd>(w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    if w.bits == 8 {
        return sum_planes::<S, { codes::BYTES }>(w, group, panel, to);
    }
    with_planes!(w.bits, sum_planes::<S, _>(w, group, panel, to))
}

#[inline(always)]
unsafe fn sum_planes<S: Simd, const CODES: u8>(w: &Weight, group: usize, panel: usize, to: &mut [i32]) {
    let ones = vec![1i8; group];
    let bytes = group / DEPTH * codes::cell(CODES);
    let taken = if w.bits == 8 { S::OFFSET8 } else { 0 };
    for (g, to) in to.chunks_exact_mut(COLUMNS).enumerate() {
        let [sums] = S::products::<1, CODES>(w.codes.as_ptr().add(panel * w.panel() + g * bytes), ones.as_ptr(), group / DEPTH, [S::same(0)]);
        S::store_ints(sums, to.as_mut_ptr());
        let index = (panel * w.groups() + g / (w.group / group)) * COLUMNS;
        for (c, sum) in to.iter_mut().enumerate() {
            // Padding has code 0, and no zero point to take off.
            *sum += taken * group as i32 - i32::from(w.zero(index + c)) * w.k.saturating_sub(g * group).min(group) as i32;
            if let Some(steps) = w.steps {
                *sum *= i32::from(steps[index + c]);
            }
        }
    }
}
