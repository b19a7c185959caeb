//! minmax over the clip whose quantized histogram is nearest in Kullback–Leibler divergence.

use super::minmax::{from_extent, Extent};
use super::{each_group, Fitted, Target, Unit};
use crate::clip::{entropy_clip, levels};
use crate::format::Format;
use crate::statistics::{bin_of, Bins};

pub fn fit(target: &Target, unit: &Unit, bins: usize) -> Fitted {
    let two_sided = matches!(target.format, Format::Int(_)) && !target.symmetric;
    let mut values = Vec::new();
    let mut counts = vec![0.0; bins];
    let (min, max) = each_group(unit, &mut values, |values| {
        let extremes = values.iter().fold((0.0f32, 0.0f32), |(lo, hi), &v| (if v < lo { v } else { lo }, if hi < v { v } else { hi }));
        let (lo, hi) = if two_sided { extremes } else { (-extremes.1.max(-extremes.0), extremes.1.max(-extremes.0)) };
        if !(lo < hi && (hi - lo).is_finite()) {
            return (lo, hi);
        }
        counts.fill(0.0);
        let scale = Bins::new(f64::from(lo), f64::from(hi), bins);
        for &v in values.iter() {
            counts[bin_of(&scale, v)] += 1.0;
        }
        let padding = values.len() - unit.count.min(values.len());
        let at_zero = bin_of(&scale, 0.0);
        counts[at_zero] -= padding as f64;
        let (lo, hi) = entropy_clip(&counts, f64::from(lo), f64::from(hi), levels(target.format));
        (lo as f32, hi as f32)
    });
    from_extent(target, Extent { min, max })
}
