//! Scales that do not come from the rows themselves: given, of the whole tensor, of blocks.

use super::{Run, SEGMENT};
use crate::fault::{Fault, Outcome};
use crate::fit::{self, extent, fit, Extent, Fitted, Unit};
use crate::format::Format;
use crate::lanes::F8;
use crate::layout::Grain;
use crate::split::Shared;
use std::sync::Mutex;

impl Run<'_> {
    /// The float32 scale over e4m3 block scales: the largest block scale becomes 448.
    pub fn nv_global(&self) -> Outcome<f32> {
        let largest = match self.scales {
            Some(scales) => scales.iter().fold(0.0f32, |a, s| a.max(s.abs())),
            None => self.extent_of_all()?.joint().absmax().0[0] / self.target.format.top(),
        };
        let global = largest / 448.0;
        Ok(if global >= f32::MIN_POSITIVE && global.is_finite() { global } else { 1.0 })
    }

    /// Steps and zero points that do not come from the rows themselves: given, of the whole tensor, of blocks.
    pub fn known_scales(&self, steps: &mut [f32], zeros: &mut [f32]) -> Outcome<bool> {
        if let Some(given) = self.scales {
            for (step, &s) in steps.iter_mut().zip(given) {
                if !s.is_finite() || s == 0.0 {
                    return Err(Fault::new("bad-scale", format!("a given scale is {s}")));
                }
                *step = self.target.scale.round(s);
            }
            if let (Some(given), Format::Int(f)) = (self.zeros, self.target.format) {
                for (zero, &z) in zeros.iter_mut().zip(given) {
                    *zero = z.round_ties_even().clamp(f.lo, f.hi);
                }
            }
            return Ok(true);
        }
        match self.geometry.grain {
            Grain::Tensor => {
                let fitted = fit::from_extent(&self.target, self.extent_of_all()?.joint()).unwrap_or_else(|| self.fit_patch(0, 0));
                (steps[0], zeros[0]) = (fitted.step.0[0], fitted.zero.0[0]);
                Ok(true)
            }
            Grain::Block { .. } => {
                let (steps, zeros) = (Shared::new(steps), Shared::new(zeros));
                let (rows, cols) = self.geometry.table();
                self.split.run(rows, &|row| {
                    for col in 0..cols {
                        let fitted = self.fit_patch(row, col);
                        // SAFETY: each task writes the cells of one table row.
                        unsafe {
                            steps.at(row * cols + col, 1)[0] = fitted.step.0[0];
                            zeros.at(row * cols + col, 1)[0] = fitted.zero.0[0];
                        }
                    }
                });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Extremes of the whole matrix, in eight lanes.
    fn extent_of_all(&self) -> Outcome<Extent> {
        let all = Mutex::new(Extent::NONE);
        self.each_band(SEGMENT.min(self.weight.reduce), SEGMENT.min(self.weight.reduce), None, |band| {
            let found = extent(self.isa, band.tile, false);
            let mut all = all.lock().expect("no panics while locked");
            *all = all.join(found);
        })?;
        Ok(all.into_inner().expect("no panics while locked"))
    }

    /// Fits one scale to a patch of several rows, gathered whole.
    fn fit_patch(&self, row: usize, col: usize) -> Fitted {
        let (rows, cols) = self.geometry.patch();
        let (n0, k0) = (row * rows, col * cols);
        let (height, width) = (rows.min(self.weight.out - n0), cols.min(self.weight.reduce - k0));
        let blocks = height.div_ceil(8);
        let mut tile = vec![F8::splat(0.0); blocks * width];
        self.weight.gather(n0, blocks, k0, width, width, &mut tile, width);
        let past = 8 * blocks - height;
        for t in &mut tile[(blocks - 1) * width..] {
            t.0[8 - past..].fill(0.0);
        }
        let importance = self.importance.map(|i| i[k0..k0 + width].repeat(blocks));
        let unit = Unit { tile: &tile, importance: importance.as_deref(), joint: true, count: height * width };
        fit(self.isa, &self.target, &unit)
    }
}
