//! Rows of a table of codes, as an embedding looks them up: scale·(code − zero), one scale for each group of a row.

use crate::isa::dispatch;
use crate::Isa;

/// A table [rows, width].
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    pub width: usize,
    /// Two codes a byte, the even one in the low half; else a byte each.
    pub halves: bool,
    /// [rows, bytes].
    pub codes: &'a [u8],
    /// Groups of a row.
    pub groups: usize,
    /// [rows, groups].
    pub scales: &'a [f32],
    /// The same, or one for all.
    pub zeros: &'a [u8],
}

impl Table<'_> {
    fn bytes(&self) -> usize {
        if self.halves { self.width / 2 } else { self.width }
    }
    /// Errors: what does not fit, in words.
    pub fn check(&self, rows: usize) -> Result<(), String> {
        let even = !self.halves || self.width % 2 == 0;
        if self.width == 0 || !even || self.groups == 0 || self.width % self.groups != 0 {
            return Err(format!("{} groups of a row of {} codes", self.groups, self.width));
        }
        let (codes, scales) = (rows.checked_mul(self.bytes()), rows.checked_mul(self.groups));
        let zeros = self.zeros.len() == 1 || Some(self.zeros.len()) == scales;
        if codes != Some(self.codes.len()) || scales != Some(self.scales.len()) || !zeros {
            let (c, s, z) = (self.codes.len(), self.scales.len(), self.zeros.len());
            return Err(format!("{c} bytes of codes, {s} scales and {z} zero points are no {rows} rows of {} codes in {} groups", self.width, self.groups));
        }
        Ok(())
    }
}

/// Row `row` as floats. Panics where sizes do not fit.
pub fn table_row(isa: Isa, t: &Table, row: usize, y: &mut [f32]) {
    assert!(isa.available() && y.len() == t.width && t.scales.len() / t.groups.max(1) > row && t.check(t.scales.len() / t.groups).is_ok());
    // SAFETY: the machine has `isa`.
    unsafe { decode(isa, t, row, y) }
}
dispatch! { fn decode(t: &Table, row: usize, y: &mut [f32]) = body }

#[inline(always)]
fn body<S>(t: &Table, row: usize, y: &mut [f32]) {
    let bytes = t.bytes();
    let codes = &t.codes[row * bytes..(row + 1) * bytes];
    if t.halves {
        for (y, b) in y.chunks_exact_mut(2).zip(codes) {
            (y[0], y[1]) = (f32::from(b & 15), f32::from(b >> 4));
        }
    } else {
        for (y, b) in y.iter_mut().zip(codes) {
            *y = f32::from(*b);
        }
    }
    for (i, y) in y.chunks_exact_mut(t.width / t.groups).enumerate() {
        let at = row * t.groups + i;
        let (scale, zero) = (t.scales[at], f32::from(if t.zeros.len() == 1 { t.zeros[0] } else { t.zeros[at] }));
        for v in y {
            *v = (*v - zero) * scale;
        }
    }
}
