//! Codes to where a layout wants them.

use super::bands::Band;
use crate::format::mask;
use crate::layout::{pack8, transpose8, Geometry};
use crate::split::Shared;

/// Puts tiles of codes where the layout wants them.
pub struct Writer<'a> {
    pub geometry: Geometry,
    to: Shared<'a, u8>,
}

impl<'a> Writer<'a> {
    pub fn new(geometry: Geometry, to: &'a mut [u8]) -> Self {
        Writer { geometry, to: Shared::new(to) }
    }

    pub fn write(&self, band: &Band, codes: &[[u8; 8]]) {
        let g = &self.geometry;
        let bits = g.stored_bits();
        if g.transposed() {
            let len = (band.rows.len() * bits as usize).div_ceil(8);
            for (k, code) in codes.iter().enumerate() {
                let at = g.code_bit(band.rows.start, band.k0 + k) / 8;
                let packed = pack8(masked(*code, bits), bits).to_le_bytes();
                // SAFETY: rows of a band are its own, and begin on a byte.
                unsafe { self.to.at(at, len) }.copy_from_slice(&packed[..len]);
            }
            return;
        }
        let row_bytes = (codes.len() * bits as usize).div_ceil(8);
        let mut rows: [&mut [u8]; 8] = Default::default();
        for (lane, n) in band.rows.clone().enumerate() {
            // SAFETY: the segment of a row begins and ends on a byte and belongs to this task.
            rows[lane] = unsafe { self.to.at(g.code_bit(n, band.k0) / 8, row_bytes) };
        }
        for (i, eight) in codes.chunks(8).enumerate() {
            let mut words = [0u64; 8];
            for (word, code) in words.iter_mut().zip(eight) {
                *word = masked(*code, bits);
            }
            let lanes = transpose8(words);
            let at = i * bits as usize;
            let len = (eight.len() * bits as usize).div_ceil(8);
            for (row, word) in rows.iter_mut().zip(lanes).take(band.rows.len()) {
                let packed = pack8(word, bits).to_le_bytes();
                if len == 4 {
                    row[at..at + 4].copy_from_slice(&packed[..4]);
                } else {
                    row[at..at + len].copy_from_slice(&packed[..len]);
                }
            }
        }
    }

    pub fn write_wide(&self, band: &Band, codes: &[[u16; 8]]) {
        for (k, code) in codes.iter().enumerate() {
            for (lane, n) in band.rows.clone().enumerate() {
                let at = self.geometry.code_bit(n, band.k0 + k) / 8;
                // SAFETY: rows of a band are its own.
                unsafe { self.to.at(at, 2) }.copy_from_slice(&code[lane].to_le_bytes());
            }
        }
    }
}

/// Eight codes as a word, without bits above `bits` (signed codes are sign extended until here).
#[inline(always)]
fn masked(codes: [u8; 8], bits: u32) -> u64 {
    u64::from_le_bytes(codes) & (0x0101_0101_0101_0101 * u64::from(mask(bits)))
}
