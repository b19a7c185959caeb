//! The numbers of a request, in the order in which runtime/protocol.ts writes them.

use super::buffers::{check, unknown};
use crate::cast::Element;
use crate::fault::{Fault, Outcome};
use crate::fit::Law;
use crate::format::{Format, Int, E2M1, E4M3, E5M2};
use crate::layout::{Grain, Layout};
use crate::matrix::{FloatType, Matrix, Order};
use crate::scale::ScaleType;

/// The numbers of a request, taken from the front.
pub struct Numbers<'a> {
    rest: &'a [f64],
}

impl<'a> Numbers<'a> {
    pub fn new(rest: &'a [f64]) -> Self {
        Numbers { rest }
    }
}

impl Numbers<'_> {
    pub fn take(&mut self) -> Outcome<f64> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| Fault::request("too few numbers"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn size(&mut self) -> Outcome<usize> {
        let x = self.take()?;
        check(x >= 0.0 && x.fract() == 0.0 && x <= 9_007_199_254_740_992.0, "a size is a whole number")?;
        usize::try_from(x as u64).map_err(|_| Fault::request(format!("a size of {x}")))
    }

    pub fn flag(&mut self) -> Outcome<bool> {
        Ok(self.take()? != 0.0)
    }

    pub fn order(&mut self) -> Outcome<Order> {
        Ok(if self.flag()? { Order::ReduceOut } else { Order::OutReduce })
    }

    /// dtype, out, reduce, order.
    pub fn matrix<'a>(&mut self, data: &'a [u8]) -> Outcome<Matrix<'a>> {
        let dtype = match self.size()? {
            0 => FloatType::F32,
            1 => FloatType::F16,
            2 => FloatType::Bf16,
            3 => FloatType::F64,
            x => return Err(unknown("weight type", x)),
        };
        let (out, reduce, order) = (self.size()?, self.size()?, self.order()?);
        Matrix::new(data, dtype, out, reduce, order)
    }

    /// kind, then for integers bits, signed, lo, hi.
    pub fn format(&mut self) -> Outcome<Format> {
        match self.size()? {
            0 => {
                let (bits, signed, lo, hi) = (self.size()?, self.flag()?, self.take()?, self.take()?);
                let (least, most) = if signed { (-(2f64.powi(15)), 2f64.powi(15) - 1.0) } else { (0.0, 2f64.powi(16) - 1.0) };
                let fits = (1..=16).contains(&bits) && lo < hi && lo.fract() == 0.0 && hi.fract() == 0.0;
                let shift = 16 - bits.min(16) as i32;
                let inside = lo >= (least / f64::from(1 << shift)).floor() && hi <= (most / f64::from(1 << shift)).floor();
                check(fits && inside, "an integer format has 1 to 16 bits and lo < hi within them")?;
                Ok(Format::Int(Int { bits: bits as u32, signed, lo: lo as f32, hi: hi as f32 }))
            }
            1 => Ok(Format::Float(E4M3)),
            2 => Ok(Format::Float(E5M2)),
            3 => Ok(Format::Float(E2M1)),
            x => Err(unknown("format", x)),
        }
    }

    /// kind, then two sizes.
    pub fn grain(&mut self) -> Outcome<Grain> {
        let (kind, a, b) = (self.size()?, self.size()?, self.size()?);
        match kind {
            0 => Ok(Grain::Tensor),
            1 => Ok(Grain::Channel),
            2 => Ok(Grain::Group(a)),
            3 => Ok(Grain::Block { rows: a, cols: b }),
            x => Err(unknown("grain", x)),
        }
    }

    /// kind, then four parameters.
    pub fn law(&mut self) -> Outcome<Law> {
        let (kind, a, b, c, d) = (self.size()?, self.take()?, self.take()?, self.take()?, self.take()?);
        let law = match kind {
            0 => Law::Minmax,
            1 => Law::SignedAbsmax,
            2 => Law::Percentile { p: a },
            3 => Law::Mse { steps: a as usize, shrink: b as f32, p: c as f32, signed: d != 0.0 },
            4 => Law::Entropy { bins: a as usize },
            5 => Law::Hqq { p: a as f32, beta: b as f32, kappa: c as f32, iterations: d as usize },
            6 => Law::Share { ratio: a as f32 },
            x => return Err(unknown("law", x)),
        };
        let sane = match law {
            Law::Percentile { p } => (0.0..=100.0).contains(&p),
            Law::Mse { steps, shrink, p, .. } => (1..=1 << 20).contains(&steps) && shrink > 0.0 && shrink <= 1.0 && p > 0.0,
            Law::Entropy { bins } => (2..=1 << 24).contains(&bins),
            Law::Hqq { p, beta, .. } => p > 0.0 && beta > 0.0,
            Law::Share { ratio } => ratio > 0.0 && ratio <= 1.0,
            _ => true,
        };
        check(sane, "a parameter of the scale law is out of range")?;
        Ok(law)
    }

    /// The type of scales; for integer ones also the bound of what they scale and the type of the rows' steps.
    pub fn scale_types(&mut self) -> Outcome<(ScaleType, Option<(f32, ScaleType)>)> {
        let scale = self.scale_type()?;
        if scale != ScaleType::Int8 {
            return Ok((scale, None));
        }
        let (bound, kind) = (self.take()?, self.scale_type()?);
        check((1.0..=127.0).contains(&bound), "the outer format of a progressive one has codes of at most ±127")?;
        check(matches!(kind, ScaleType::F32 | ScaleType::F16 | ScaleType::Bf16), "steps of rows are floats")?;
        Ok((scale, Some((bound as f32, kind))))
    }

    pub fn scale_type(&mut self) -> Outcome<ScaleType> {
        match self.size()? {
            0 => Ok(ScaleType::F32),
            1 => Ok(ScaleType::F16),
            2 => Ok(ScaleType::Bf16),
            3 => Ok(ScaleType::F64),
            4 => Ok(ScaleType::E8m0),
            5 => Ok(ScaleType::Nv { global: 1.0 }),
            6 => Ok(ScaleType::Int8),
            x => Err(unknown("scale type", x)),
        }
    }

    pub fn layout(&mut self) -> Outcome<Layout> {
        match self.size()? {
            0 => Ok(Layout::Plain),
            1 => Ok(Layout::Source),
            2 => Ok(Layout::NBits),
            x => Err(unknown("layout", x)),
        }
    }

    /// Numbers 100·signed + bits for integers (200 for bool), small ones for floats.
    pub fn element(&mut self) -> Outcome<Element> {
        Ok(match self.size()? {
            0 => Element::F32,
            1 => Element::F64,
            2 => Element::F16,
            3 => Element::Bf16,
            4 => Element::E4m3,
            5 => Element::E5m2,
            6 => Element::E2m1,
            7 => Element::E8m0,
            200 => Element::Bool,
            x if x >= 20 => match (x - 20) % 100 {
                bits @ (2 | 4 | 8 | 16 | 32 | 64) if x < 220 => Element::Int { bits: bits as u32, signed: x >= 120 },
                _ => return Err(unknown("element type", x)),
            },
            x => return Err(unknown("element type", x)),
        })
    }
}
