//! Scales of rows and codes of everything.

use super::bands::Band;
use super::tile::{encode_half_up, encode_tile};
use super::writer::Writer;
use super::{Run, SEGMENT};
use crate::fault::{Fault, Outcome};
use crate::fit::{fit, Fitted, Law, Unit};
use crate::format::{mask, Format, IntGrid};
use crate::hash::Pieces;
use crate::lanes::F8;
use crate::layout::{put_bits, Geometry, Layout};
use crate::scale::ScaleType;
use crate::split::Shared;
use std::sync::Mutex;

thread_local! {
    /// Codes of the tile in work.
    static CODES: std::cell::RefCell<Vec<[u8; 8]>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Run<'_> {
    /// Fits what is not fitted yet, and writes all codes. Returns Σ(w − ŵ)² and Σw².
    pub fn encode(&self, steps: &mut [f32], zeros: &mut [f32], known: bool, codes: &mut [u8], pieces: Option<&Pieces>) -> Outcome<(f64, f64)> {
        let cols = self.geometry.patch().1;
        let segment = if known && cols > SEGMENT && self.geometry.layout != Layout::NBits { SEGMENT } else { cols };
        // Where a patch is wider than a segment, segments are cut so that they do not cross patches.
        let segment = if cols % segment == 0 || cols >= self.weight.reduce { segment } else { cols };
        let bad: Mutex<Option<(usize, usize)>> = Mutex::new(None);
        let aligned = self.geometry.byte_aligned(segment);
        let wide = Geometry { layout: Layout::Plain, bits: 8, ..self.geometry };
        let mut spare = if aligned { Vec::new() } else { vec![0u8; wide.code_bytes()] };
        let segment = segment.min(self.geometry.columns());
        let across = self.weight.reduce.div_ceil(segment);
        // Of each tile, so that the order of the sums is the same whatever the slabs.
        let mut sums = vec![(0.0f64, 0.0f64); self.weight.out.div_ceil(8) * across];
        {
            let writer = Writer::new(if aligned { self.geometry } else { wide }, if aligned { &mut *codes } else { &mut spare });
            let (steps, zeros, sums) = (Shared::new(steps), Shared::new(zeros), Shared::new(&mut sums));
            self.each_band(segment.min(self.weight.reduce), segment, pieces, |band| {
                let fitted = self.fitted(&band, known, &steps, &zeros);
                let (error, energy, finite) = self.encode_band(&band, fitted, &writer);
                // SAFETY: a tile belongs to one task.
                unsafe { sums.at(band.rows.start / 8 * across + band.k0 / segment, 1)[0] = (error, energy) };
                if !finite {
                    let mut bad = bad.lock().expect("no panics while locked");
                    *bad = bad.into_iter().chain(band.first_bad()).min();
                }
            })?;
        }
        if let Some((n, k)) = bad.into_inner().expect("no panics while locked") {
            return Err(Fault::new("nan-weight", format!("the weight of output {n}, input {k} is NaN or infinite")));
        }
        if !aligned {
            let bits = self.geometry.stored_bits();
            for n in 0..self.weight.out {
                for k in 0..self.weight.reduce {
                    let code = u32::from(spare[n * self.weight.reduce + k]) & mask(bits);
                    put_bits(codes, self.geometry.code_bit(n, k), bits, code);
                }
            }
        }
        let add = |a: (f64, f64), b: &(f64, f64)| (a.0 + b.0, a.1 + b.1);
        Ok(sums.chunks(across).map(|row| row.iter().fold((0.0, 0.0), add)).fold((0.0, 0.0), |a, row| add(a, &row)))
    }

    /// The steps of a band's eight rows: fitted now, or looked up.
    fn fitted(&self, band: &Band, known: bool, steps: &Shared<f32>, zeros: &Shared<f32>) -> Fitted {
        let (rows, cols) = self.geometry.patch();
        let table = self.geometry.table().1;
        let cell = |n: usize| n / rows * table + band.k0 / cols;
        let mut fitted = Fitted { step: F8::splat(1.0), zero: F8::splat(0.0) };
        if known {
            for (lane, n) in band.rows.clone().enumerate() {
                // SAFETY: all steps are known: nobody writes.
                (fitted.step.0[lane], fitted.zero.0[lane]) = unsafe { (steps.get(cell(n)), zeros.get(cell(n))) };
            }
            return fitted;
        }
        let importance = self.importance.map(|i| &i[band.k0..band.k0 + band.len]);
        let unit = Unit { tile: &band.tile[..band.len], importance, joint: false, count: band.len };
        fitted = fit(self.isa, &self.target, &unit);
        for (lane, n) in band.rows.clone().enumerate() {
            // SAFETY: a cell belongs to one row, and a row to one task.
            unsafe {
                steps.at(cell(n), 1)[0] = fitted.step.0[lane];
                zeros.at(cell(n), 1)[0] = fitted.zero.0[lane];
            }
        }
        fitted
    }

    fn encode_band(&self, band: &Band, fitted: Fitted, writer: &Writer) -> (f64, f64, bool) {
        let offset = writer.geometry.offset();
        let sums = match self.target.format {
            Format::Int(f) if f.bits > 8 => {
                let mut codes = vec![[0u16; 8]; band.tile.len()];
                let grid = self.target.grid(f, fitted);
                let sums = encode_tile(self.isa, grid, band.tile, fitted, &mut codes);
                writer.write_wide(band, &codes);
                sums
            }
            format => CODES.with_borrow_mut(|codes| {
                codes.resize(band.tile.len(), [0u8; 8]);
                let sums = match format {
                    Format::Int(f) if self.target.law == Law::SignedAbsmax && self.target.scale != ScaleType::Int8 => encode_half_up(self.isa, f, offset, band.tile, fitted, codes),
                    Format::Int(f) => encode_tile(self.isa, IntGrid { offset, ..self.target.grid(f, fitted) }, band.tile, fitted, codes),
                    Format::Float(f) => encode_tile(self.isa, f, band.tile, fitted, codes),
                };
                writer.write(band, codes);
                sums
            }),
        };
        let total = |lanes: &[f64; 8]| band.rows.clone().zip(lanes).map(|(n, x)| x * self.weight.square(n)).sum::<f64>();
        (total(&sums.error), total(&sums.energy), sums.finite)
    }
}
