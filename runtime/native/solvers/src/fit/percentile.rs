//! minmax over the range that covers `p` percent of the values: |w| when symmetric, (100 − p)/2 cut at each side when not.

use super::minmax::{from_extent, Extent};
use super::{each_group, Fitted, Target, Unit};
use crate::format::Format;

pub fn fit(target: &Target, unit: &Unit, p: f64) -> Fitted {
    let mut values = Vec::with_capacity(unit.tile.len() * if unit.joint { 8 } else { 1 });
    let two_sided = matches!(target.format, Format::Int(_)) && !target.symmetric;
    let (min, max) = each_group(unit, &mut values, |values| {
        if two_sided {
            let cut = rank(unit.count, (100.0 + p) / 2.0);
            let high = from_top(values, cut);
            values.iter_mut().for_each(|v| *v = -*v);
            (-from_top(values, cut).max(0.0), high.max(0.0))
        } else {
            values.iter_mut().for_each(|v| *v = v.abs());
            (0.0, from_top(values, rank(unit.count, p)))
        }
    });
    from_extent(target, Extent { min, max })
}

/// How many of `count` values lie above the p-th percentile (nearest rank).
fn rank(count: usize, p: f64) -> usize {
    let inside = (count as f64 * p / 100.0).ceil().max(1.0) as usize;
    count - inside.min(count)
}

/// The (n + 1)-th largest. Zeros of padding are never above a positive value, so ranks count from the top.
fn from_top(values: &mut [f32], n: usize) -> f32 {
    let n = n.min(values.len() - 1);
    *values.select_nth_unstable_by(n, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let mut v: Vec<f32> = (1..=100).map(|i| i as f32).collect();
        assert_eq!(from_top(&mut v, rank(100, 99.0)), 99.0);
        assert_eq!(from_top(&mut v, rank(100, 100.0)), 100.0);
        assert_eq!(from_top(&mut v, rank(100, 50.0)), 50.0);
    }
}
