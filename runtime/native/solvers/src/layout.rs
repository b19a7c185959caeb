//! Where codes, scales and zero points lie, and how sub-byte codes are packed (low bits first).

use crate::fault::{Fault, Outcome};
use crate::format::mask;
use crate::matrix::Order;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Codes [out, reduce], a byte each.
    Plain,
    /// The order of the source, 2- and 4-bit codes packed flat.
    Source,
    /// com.microsoft MatMulNBits.
    NBits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Tensor,
    Channel,
    Group(usize),
    Block { rows: usize, cols: usize },
}

/// Sizes and places of everything that one quantized matrix consists of.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    pub out: usize,
    pub reduce: usize,
    pub order: Order,
    pub layout: Layout,
    pub grain: Grain,
    pub bits: u32,
    pub signed: bool,
    pub float: bool,
}

impl Geometry {
    pub fn check(self) -> Outcome<Self> {
        let bad = match self.grain {
            Grain::Group(g) => g == 0,
            Grain::Block { rows, cols } => rows == 0 || cols == 0,
            _ => false,
        };
        if bad {
            return Err(Fault::request("a group of zero elements"));
        }
        if self.layout == Layout::NBits && (self.float || self.bits > 8 || !matches!(self.grain, Grain::Channel | Grain::Group(_))) {
            return Err(Fault::request("layout nbits is for integers of at most 8 bits with a scale per channel or group"));
        }
        Ok(self)
    }

    /// Rows and columns of one scale's patch.
    pub fn patch(&self) -> (usize, usize) {
        match self.grain {
            Grain::Tensor => (self.out, self.reduce),
            Grain::Channel => (1, self.reduce),
            Grain::Group(g) => (1, g),
            Grain::Block { rows, cols } => (rows, cols),
        }
    }

    /// Rows and columns of the table of scales.
    pub fn table(&self) -> (usize, usize) {
        let (rows, cols) = self.patch();
        (self.out.div_ceil(rows), self.reduce.div_ceil(cols))
    }

    /// Columns in memory of a row of codes, counting the padding of the last group in layout nbits.
    pub fn columns(&self) -> usize {
        match self.layout {
            Layout::NBits => self.table().1 * self.patch().1,
            _ => self.reduce,
        }
    }

    /// Whether codes lie [reduce, out].
    pub fn transposed(&self) -> bool {
        self.layout == Layout::Source && self.order == Order::ReduceOut
    }

    /// Bits of a code in memory.
    pub fn stored_bits(&self) -> u32 {
        match (self.layout, self.bits) {
            (Layout::NBits, b) => b,
            (Layout::Source, b @ (2 | 4)) => b,
            (_, b) if b <= 8 => 8,
            _ => 16,
        }
    }

    /// What nbits adds to signed codes.
    pub fn offset(&self) -> i32 {
        if self.layout == Layout::NBits && self.signed {
            1 << (self.bits - 1)
        } else {
            0
        }
    }

    /// Bytes of one group in layout nbits.
    pub fn blob(&self) -> usize {
        (self.patch().1 * self.bits as usize).div_ceil(8)
    }

    pub fn code_bytes(&self) -> usize {
        match self.layout {
            Layout::NBits => self.out * self.table().1 * self.blob(),
            _ => (self.out * self.reduce * self.stored_bits() as usize).div_ceil(8),
        }
    }

    pub fn scale_count(&self) -> usize {
        let (r, c) = self.table();
        r * c
    }

    pub fn zero_bytes(&self) -> usize {
        let (rows, cols) = self.table();
        match self.layout {
            Layout::NBits => rows * (cols * self.bits as usize).div_ceil(8),
            _ => (rows * cols * self.stored_bits() as usize).div_ceil(8),
        }
    }

    /// Where table cell (row, col) lies among the stored scales.
    pub fn scale_place(&self, row: usize, col: usize) -> usize {
        let (rows, cols) = self.table();
        if self.transposed() {
            col * rows + row
        } else {
            row * cols + col
        }
    }

    /// The bit where the zero point of table cell (row, col) begins.
    fn zero_bit(&self, row: usize, col: usize) -> usize {
        let cols = self.table().1;
        match self.layout {
            Layout::NBits => row * (cols * self.bits as usize).div_ceil(8) * 8 + col * self.bits as usize,
            _ => self.scale_place(row, col) * self.stored_bits() as usize,
        }
    }

    /// Writes zero points (code values, in plain order) into zeroed bytes.
    pub fn write_zeros(&self, zeros: &[f32], to: &mut [u8]) {
        let (rows, cols) = self.table();
        let bits = self.stored_bits();
        for row in 0..rows {
            for col in 0..cols {
                let code = (zeros[row * cols + col] as i32 + self.offset()) as u32 & mask(bits);
                put_bits(to, self.zero_bit(row, col), bits, code);
            }
        }
    }

    /// Zero points as stored codes, in plain order.
    pub fn read_zeros(&self, from: &[u8]) -> Vec<u32> {
        let (rows, cols) = self.table();
        let bits = self.stored_bits();
        (0..rows * cols).map(|i| get_bits(from, self.zero_bit(i / cols, i % cols), bits)).collect()
    }

    /// The bit where the code of (n, k) begins.
    pub fn code_bit(&self, n: usize, k: usize) -> usize {
        let bits = self.stored_bits() as usize;
        match self.layout {
            Layout::NBits => {
                let group = self.patch().1;
                (n * self.table().1 + k / group) * self.blob() * 8 + k % group * bits
            }
            _ if self.transposed() => (k * self.out + n) * bits,
            _ => (n * self.reduce + k) * bits,
        }
    }

    /// Whether eight rows by a segment of `segment` columns always begin on a byte, so that tiles can be written apart.
    pub fn byte_aligned(&self, segment: usize) -> bool {
        let bits = self.stored_bits() as usize;
        match self.layout {
            Layout::NBits => true,
            _ if self.transposed() => self.out * bits % 8 == 0,
            _ => self.reduce * bits % 8 == 0 && segment * bits % 8 == 0,
        }
    }
}

/// ORs the low `bits` of `code` into zeroed bytes at bit `at`; codes of at most 8 bits may cross a byte.
pub fn put_bits(to: &mut [u8], at: usize, bits: u32, code: u32) {
    let (byte, shift) = (at / 8, at % 8);
    let wide = code << shift;
    for i in 0..(shift + bits as usize).div_ceil(8) {
        to[byte + i] |= (wide >> (8 * i)) as u8;
    }
}

pub fn get_bits(from: &[u8], at: usize, bits: u32) -> u32 {
    let (byte, shift) = (at / 8, at % 8);
    let wide = (0..(shift + bits as usize).div_ceil(8)).fold(0u32, |w, i| w | u32::from(from[byte + i]) << (8 * i));
    wide >> shift & mask(bits)
}

/// Eight rows of eight bytes, transposed (bytes little-endian within each u64).
#[inline(always)]
pub fn transpose8(x: [u64; 8]) -> [u64; 8] {
    let mut x = x;
    for (distance, shift, keep) in [(4, 32, 0x0000_0000_ffff_ffffu64), (2, 16, 0x0000_ffff_0000_ffff), (1, 8, 0x00ff_00ff_00ff_00ff)] {
        for i in 0..8 {
            if i & distance == 0 {
                let (a, b) = (x[i], x[i + distance]);
                x[i] = a & keep | (b & keep) << shift;
                x[i + distance] = a >> shift & keep | b & !keep;
            }
        }
    }
    x
}

/// Eight codes, one a byte, packed into the low `bits` bytes.
#[inline(always)]
pub fn pack8(codes: u64, bits: u32) -> u64 {
    match bits {
        8 => codes,
        4 => {
            let x = (codes | codes >> 4) & 0x00ff_00ff_00ff_00ff;
            let x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
            (x | x >> 16) & 0xffff_ffff
        }
        _ => (0..8).fold(0, |w, i| w | (codes >> (8 * i) & 0xff) << (i * bits as usize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes() {
        let m: [u64; 8] = std::array::from_fn(|r| (0..8).fold(0, |w, c| w | ((r * 8 + c) as u64) << (8 * c)));
        let t: [u64; 8] = std::array::from_fn(|r| (0..8).fold(0, |w, c| w | ((c * 8 + r) as u64) << (8 * c)));
        assert_eq!(transpose8(m), t);
    }

    #[test]
    fn packs_like_single_codes() {
        for bits in 1..=8u32 {
            let codes: [u32; 8] = std::array::from_fn(|i| (i as u32 * 37 + 11) & mask(bits));
            let word = codes.iter().enumerate().fold(0u64, |w, (i, &c)| w | u64::from(c) << (8 * i));
            let mut bytes = [0u8; 8];
            for (i, &c) in codes.iter().enumerate() {
                put_bits(&mut bytes, i * bits as usize, bits, c);
            }
            assert_eq!(&pack8(word, bits).to_le_bytes()[..bits as usize], &bytes[..bits as usize]);
            for (i, &c) in codes.iter().enumerate() {
                assert_eq!(get_bits(&bytes, i * bits as usize, bits), c);
            }
        }
    }
}
