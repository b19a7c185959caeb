//! Layout 1 of weights (docs/layouts.md): panels of 32 columns, cells of 4 steps along the reduction, a cell in planes of bits.
//! Every instruction set reads it as it lies.

mod packed;

pub use packed::Packed;

use crate::simd::codes::{E4M3, E5M2};
use crate::simd::scalar::fp8;

/// Columns (outputs) of a panel.
pub const COLUMNS: usize = 32;
/// Steps along the reduction that lie side by side in a cell.
pub const DEPTH: usize = 4;
/// The largest group whose sum of products fits 32 bits: 65536·255·128 < 2³¹.
pub const MAX_GROUP: usize = 65536;
/// Bits that integer codes may have: the list that dispatch, operators, tests and benchmarks follow.
pub const WIDTHS: [usize; 7] = [2, 3, 4, 5, 6, 7, 8];

/// The planes of a cell: (bits of a plane, bits below it). A code is cut into parts of 4, 2 and 1 bits, the low ones in the first plane; 8 bits are whole.
pub fn planes(bits: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut low = 0;
    [8, 4, 2, 1].into_iter().filter(move |width| bits & width != 0).map(move |width| {
        low += width;
        (width, low - width)
    })
}

/// The code that stands for zero: one for the weight (symmetric formats), or one for each scale.
#[derive(Debug, Clone, Copy)]
pub enum Zeros<'a> {
    One(u8),
    Each(&'a [u8]),
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// code − zero.
    Integer,
    /// Floats: 0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives, of 4 bits; those of 8 bits.
    E2m1,
    E4m3,
    E5m2,
}

impl Coding {
    /// Bits of a code, where the coding says so.
    pub fn bits(self) -> Option<usize> {
        match self {
            Coding::Integer => None,
            Coding::E2m1 => Some(4),
            Coding::E4m3 | Coding::E5m2 => Some(8),
        }
    }
}

/// Numbers of [`Coding::E2m1`], by code.
pub const E2M1: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// Scales of eight bits, [panels, groups, 32] as the wide ones.
#[derive(Debug, Clone, Copy)]
pub enum NarrowScales<'a> {
    /// e8m0: 2^(byte − 127).
    Powers(&'a [u8]),
    /// e4m3 times one scale of the whole weight.
    Floats(&'a [u8], f32),
}

impl NarrowScales<'_> {
    fn len(&self) -> usize {
        let (NarrowScales::Powers(b) | NarrowScales::Floats(b, _)) = self;
        b.len()
    }
    /// The scale that byte `index` stands for, in float32.
    #[inline(always)]
    pub fn get(&self, index: usize) -> f32 {
        match self {
            // The smallest is half the smallest normal float.
            NarrowScales::Powers(b) => f32::from_bits(u32::from(b[index]) << 23 | u32::from(b[index] == 0) << 22),
            NarrowScales::Floats(b, outer) => fp8(E4M3, b[index]) * outer,
        }
    }
}

/// A weight W[n, k] ≈ scale·(code − zero) in layout 1, its sizes checked. Progressive ones: scale·step·(code − zero), one scale a column, whole steps.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    pub k: usize,
    pub n: usize,
    pub bits: usize,
    pub group: usize,
    pub codes: &'a [u8],
    pub scales: &'a [f32],
    pub zeros: Zeros<'a>,
    /// Progressive formats: [panels, groups, 32], with −128 ≤ (code − zero)·step ≤ 127.
    pub steps: Option<&'a [u8]>,
    pub coding: Coding,
    /// Narrow scales, where there are no wide ones.
    pub blocks: Option<NarrowScales<'a>>,
}

impl<'a> Weight<'a> {
    /// Checks every size before anything is read. Errors: what does not fit, in words.
    pub fn new(k: usize, n: usize, bits: usize, group: usize, codes: &'a [u8], scales: &'a [f32], zeros: Zeros<'a>) -> Result<Self, String> {
        Weight { k, n, bits, group, codes, scales, zeros, steps: None, coding: Coding::Integer, blocks: None }.checked()
    }

    /// A progressive weight: 4-bit codes under whole steps by group, under one scale a column.
    #[allow(clippy::too_many_arguments)]
    pub fn progressive(k: usize, n: usize, group: usize, codes: &'a [u8], scales: &'a [f32], zeros: Zeros<'a>, steps: &'a [u8]) -> Result<Self, String> {
        Weight { k, n, bits: 4, group, codes, scales, zeros, steps: Some(steps), coding: Coding::Integer, blocks: None }.checked()
    }

    /// A weight of float codes under wide scales, or narrow ones (`scales` is empty then).
    #[allow(clippy::too_many_arguments)]
    pub fn floats(k: usize, n: usize, coding: Coding, group: usize, codes: &'a [u8], scales: &'a [f32], blocks: Option<NarrowScales<'a>>) -> Result<Self, String> {
        let bits = coding.bits().ok_or("integer codes are no floats")?;
        Weight { k, n, bits, group, codes, scales, zeros: Zeros::One(0), steps: None, coding, blocks }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let Weight { k, n, bits, group, .. } = self;
        if k == 0 || n == 0 {
            return Err(format!("K and N are at least 1, not {k} and {n}"));
        }
        if !WIDTHS.contains(&bits) {
            return Err(format!("codes have 2 to 8 bits, not {bits}"));
        }
        if group == 0 || group % DEPTH != 0 || group > MAX_GROUP {
            return Err(format!("a group is a multiple of {DEPTH} up to {MAX_GROUP}, not {group}"));
        }
        let (want, numbers) = self.sizes().ok_or("K and N are too large")?;
        let same = |what: &str, want: usize, have: usize| {
            (want == have).then_some(()).ok_or_else(|| format!("K {k}, N {n}, {bits} bits and group {group} need {want} {what}, not {have}"))
        };
        same("bytes of codes", want, self.codes.len())?;
        match self.steps {
            Some(steps) => {
                same("scales", n.next_multiple_of(COLUMNS), self.scales.len())?;
                same("steps", numbers, steps.len())?;
                if self.depth() > MAX_GROUP {
                    return Err(format!("a progressive weight has a reduction of at most {MAX_GROUP}, not {k}"));
                }
            }
            None => same("scales", numbers, self.blocks.map_or(self.scales.len(), |b| b.len()))?,
        }
        if let Zeros::Each(z) = self.zeros {
            same("zero points", numbers, z.len())?;
        }
        Ok(self)
    }

    /// Bytes of codes and number of groups of all columns; `None` where they overflow.
    fn sizes(&self) -> Option<(usize, usize)> {
        let columns = self.n.checked_next_multiple_of(COLUMNS)?;
        let depth = self.k.checked_next_multiple_of(self.group)?;
        Some((columns.checked_mul(depth)?.checked_mul(self.bits)? / 8, columns.checked_mul(depth / self.group)?))
    }

    pub fn panels(&self) -> usize {
        self.n.div_ceil(COLUMNS)
    }
    pub fn groups(&self) -> usize {
        self.k.div_ceil(self.group)
    }
    /// Length of the reduction with its last group filled up.
    pub fn depth(&self) -> usize {
        self.groups() * self.group
    }
    /// Bytes of a cell: 4 steps of 32 columns.
    pub fn cell(&self) -> usize {
        COLUMNS * DEPTH * self.bits / 8
    }
    /// Bytes of a panel.
    pub fn panel(&self) -> usize {
        self.depth() / DEPTH * self.cell()
    }

    /// The code of W[n, k]: the definition of the layout.
    pub fn code(&self, n: usize, k: usize) -> u8 {
        place(self.depth(), self.bits, n, k).map(|p| (self.codes[p.byte] >> p.shift & p.mask) << p.low).sum()
    }
    /// scale·(code − zero), or of float codes scale·(what the code stands for), in float64.
    pub fn value(&self, n: usize, k: usize) -> f64 {
        let at = self.scale_index(n, k);
        if self.coding != Coding::Integer {
            let code = self.code(n, k);
            let number = match self.coding {
                Coding::E2m1 => E2M1[usize::from(code)],
                Coding::E4m3 => fp8(E4M3, code),
                _ => fp8(E5M2, code),
            };
            return f64::from(number) * f64::from(self.blocks.map_or_else(|| self.scales[at], |b| b.get(at)));
        }
        let centred = f64::from(self.code(n, k)) - f64::from(self.zero(at));
        match self.steps {
            Some(steps) => centred * f64::from(steps[at]) * f64::from(self.scales[n]),
            None => centred * f64::from(self.scales[at]),
        }
    }
    /// Index of the scale (and zero point) of W[n, k].
    pub fn scale_index(&self, n: usize, k: usize) -> usize {
        (n / COLUMNS * self.groups() + k / self.group) * COLUMNS + n % COLUMNS
    }
    pub fn zero(&self, index: usize) -> u8 {
        match self.zeros {
            Zeros::One(z) => z,
            Zeros::Each(z) => z[index],
        }
    }
}

/// Where a part of a code lies: bits `shift`… of a byte under `mask`, and the code's bits below them.
struct Part {
    byte: usize,
    shift: usize,
    mask: u8,
    low: usize,
}

/// The parts of the code of (n, k). Byte i of a plane of w bits holds codes i, i + 16w, i + 32w … of the cell, from its low bits on.
fn place(depth: usize, bits: usize, n: usize, k: usize) -> impl Iterator<Item = Part> {
    let cell = (n / COLUMNS * (depth / DEPTH) + k / DEPTH) * 16 * bits;
    let i = n % COLUMNS * DEPTH + k % DEPTH;
    planes(bits).map(move |(width, low)| Part { byte: cell + 16 * low + i % (16 * width), shift: i / (16 * width) * width, mask: (0xff >> (8 - width)) as u8, low })
}
