//! What is done with a row of sums before it is stored: bias, low-rank branch, gate, residual, rounding to codes.

use super::Results;
use crate::layout::COLUMNS;
use crate::math::exp;
use crate::simd::Simd;

/// Floats in panels of 32 columns, [panels, rank, 32]; halves by their bits.
#[derive(Debug, Clone, Copy)]
pub enum Factor<'a> {
    Float(&'a [f32]),
    Half(&'a [u16]),
}
impl Factor<'_> {
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Factor::Float(x) => x.len(),
            Factor::Half(x) => x.len(),
        }
    }
}

/// A low-rank branch: y += h·U with h [rows, rank].
#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    pub rank: usize,
    pub h: &'a [f32],
    pub up: Factor<'a>,
}

impl Branch<'_> {
    /// One row of h·U, summed in order.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, at: Row) -> S::Floats {
        let mut sum = S::zero();
        let h = self.h.as_ptr().add(at.row * self.rank);
        for r in 0..self.rank {
            let index = (at.panel * self.rank + r) * COLUMNS;
            let up = match self.up {
                Factor::Float(up) => S::load(up.as_ptr().add(index)),
                Factor::Half(up) => S::load_half(up.as_ptr().add(index)),
            };
            sum = S::fused(sum, up, S::splat(*h.add(r)));
        }
        sum
    }
}

/// y = (sums + branch + bias)·silu(gate) + residual; gate and residual have the shape of y.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    pub bias: Option<&'a [f32]>,
    pub branch: Option<Branch<'a>>,
    pub gate: Option<&'a [f32]>,
    pub residual: Option<&'a [f32]>,
}

/// One row of a panel of y [rows, n].
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub panel: usize,
    pub row: usize,
    pub n: usize,
}

impl Finish<'_> {
    /// Do the sizes fit y [rows, n]?
    pub(super) fn fits(&self, rows: usize, n: usize) -> bool {
        let whole = |x: Option<&[f32]>| x.is_none_or(|x| x.len() == rows * n);
        let branch = self.branch.is_none_or(|b| b.h.len() == rows * b.rank && b.up.len() == n.next_multiple_of(COLUMNS) * b.rank);
        self.bias.is_none_or(|b| b.len() == n) && whole(self.gate) && whole(self.residual) && branch
    }

    /// Finishes a row and stores the columns that there are.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd>(&self, x: S::Floats, y: &Results, at: Row) {
        let from = at.panel * COLUMNS;
        let count = (at.n - from).min(COLUMNS);
        let index = at.row * at.n + from;
        if let (Results::Floats(y), None, None, None, COLUMNS) = (y, self.gate, self.residual, self.branch, count) {
            let x = self.bias.map_or(x, |b| S::plus(x, S::load(b.as_ptr().add(from))));
            return S::store(x, y.at().add(index));
        }
        let x = match self.branch {
            None => x,
            Some(b) => S::plus(x, b.row::<S>(at)),
        };
        let mut row = [0.0f32; COLUMNS];
        S::store(x, row.as_mut_ptr());
        if let Some(bias) = self.bias {
            for (v, b) in row[..count].iter_mut().zip(&bias[from..]) {
                *v += b;
            }
        }
        if let Some(gate) = self.gate {
            for (v, &g) in row[..count].iter_mut().zip(&gate[index..index + count]) {
                *v *= g / (1.0 + exp(-g));
            }
        }
        if let Some(residual) = self.residual {
            for (v, x) in row[..count].iter_mut().zip(&residual[index..index + count]) {
                *v += x;
            }
        }
        match y {
            Results::Floats(y) => std::ptr::copy_nonoverlapping(row.as_ptr(), y.at().add(index), count),
            Results::Codes(y, scale) => {
                for (c, v) in row[..count].iter().enumerate() {
                    // A cast saturates, and NaN becomes 0.
                    *y.at().add(index + c) = (v / scale).round_ties_even() as i8;
                }
            }
        }
    }
}
