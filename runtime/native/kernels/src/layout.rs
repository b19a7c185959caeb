//! Layout 1 of weights (docs/layouts.md): panels of 32 columns, cells of 4 steps along the reduction.
//! Every instruction set reads it as it lies.

/// Columns (outputs) of a panel.
pub const COLUMNS: usize = 32;
/// Steps along the reduction that lie side by side in a cell.
pub const DEPTH: usize = 4;
/// The largest group whose sum of products fits 32 bits: 65536·255·128 < 2³¹.
pub const MAX_GROUP: usize = 65536;

/// The code that stands for zero: one for the weight (symmetric formats), or one for each scale.
#[derive(Debug, Clone, Copy)]
pub enum Zeros<'a> {
    One(u8),
    Each(&'a [u8]),
}

/// A weight W[n, k] ≈ scale·(code − zero) in layout 1, its sizes checked.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    pub k: usize,
    pub n: usize,
    pub bits: usize,
    pub group: usize,
    pub codes: &'a [u8],
    pub scales: &'a [f32],
    pub zeros: Zeros<'a>,
}

impl<'a> Weight<'a> {
    /// Checks every size before anything is read. Errors: what does not fit, in words.
    pub fn new(k: usize, n: usize, bits: usize, group: usize, codes: &'a [u8], scales: &'a [f32], zeros: Zeros<'a>) -> Result<Self, String> {
        let w = Weight { k, n, bits, group, codes, scales, zeros };
        if k == 0 || n == 0 {
            return Err(format!("K and N are at least 1, not {k} and {n}"));
        }
        if bits != 4 && bits != 8 {
            return Err(format!("codes have 4 or 8 bits, not {bits}"));
        }
        if group == 0 || group % DEPTH != 0 || group > MAX_GROUP {
            return Err(format!("a group is a multiple of {DEPTH} up to {MAX_GROUP}, not {group}"));
        }
        let (want, scales_want) = w.sizes().ok_or("K and N are too large")?;
        let same = |what: &str, want: usize, have: usize| {
            (want == have).then_some(()).ok_or_else(|| format!("K {k}, N {n}, {bits} bits and group {group} need {want} {what}, not {have}"))
        };
        same("bytes of codes", want, codes.len())?;
        same("scales", scales_want, scales.len())?;
        if let Zeros::Each(z) = zeros {
            same("zero points", scales_want, z.len())?;
        }
        Ok(w)
    }

    /// Bytes of codes and number of scales; `None` where they overflow.
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
        let (at, high) = place(self.depth(), self.bits, n, k);
        match (self.bits, high) {
            (8, _) => self.codes[at],
            (_, false) => self.codes[at] & 15,
            (_, true) => self.codes[at] >> 4,
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

/// Byte of the code of (n, k), and whether it is the high half.
fn place(depth: usize, bits: usize, n: usize, k: usize) -> (usize, bool) {
    let cell = n / COLUMNS * (depth / DEPTH) + k / DEPTH;
    let within = n % COLUMNS * DEPTH + k % DEPTH;
    if bits == 8 {
        (cell * 128 + within, false)
    } else {
        (cell * 64 + within % 64, within >= 64)
    }
}

/// Owned parts of a weight, packed from row-major codes.
#[derive(Debug, Clone)]
pub struct Packed {
    pub k: usize,
    pub n: usize,
    pub bits: usize,
    pub group: usize,
    pub codes: Vec<u8>,
    pub scales: Vec<f32>,
    pub zeros: Vec<u8>,
}

impl Packed {
    /// Packs codes [n, k] (unsigned, a byte each), scales [n, groups] and zero points (one, or [n, groups]). Padding has code, scale and zero point 0.
    pub fn pack(k: usize, n: usize, bits: usize, group: usize, codes: &[u8], scales: &[f32], zeros: &[u8]) -> Packed {
        let groups = k.div_ceil(group);
        let depth = groups * group;
        let columns = n.next_multiple_of(COLUMNS);
        let mut p = Packed { k, n, bits, group, codes: vec![0; columns * depth * bits / 8], scales: vec![0.0; columns * groups], zeros: zeros.to_vec() };
        if zeros.len() > 1 {
            p.zeros = vec![0; columns * groups];
        }
        for (i, row) in codes.chunks_exact(k).enumerate() {
            for (j, &code) in row.iter().enumerate() {
                let (at, high) = place(depth, bits, i, j);
                p.codes[at] |= if high { code << 4 } else { code };
            }
            for g in 0..groups {
                let to = (i / COLUMNS * groups + g) * COLUMNS + i % COLUMNS;
                p.scales[to] = scales[i * groups + g];
                if zeros.len() > 1 {
                    p.zeros[to] = zeros[i * groups + g];
                }
            }
        }
        p
    }

    pub fn weight(&self) -> Weight<'_> {
        let zeros = if self.zeros.len() == 1 { Zeros::One(self.zeros[0]) } else { Zeros::Each(&self.zeros) };
        Weight::new(self.k, self.n, self.bits, self.group, &self.codes, &self.scales, zeros).expect("a packed weight fits itself")
    }
}
