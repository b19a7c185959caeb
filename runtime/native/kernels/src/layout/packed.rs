//! Weights packed by the definition of the layout.

use super::{place, Weight, Zeros, COLUMNS};

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
    /// Progressive formats: `scales` has one a column.
    pub steps: Option<Vec<u8>>,
}

impl Packed {
    /// Packs codes [n, k] (unsigned, a byte each), scales [n, groups] and zero points (one, or [n, groups]). Padding has code, scale and zero point 0.
    pub fn pack(k: usize, n: usize, bits: usize, group: usize, codes: &[u8], scales: &[f32], zeros: &[u8]) -> Packed {
        let groups = k.div_ceil(group);
        let depth = groups * group;
        let columns = n.next_multiple_of(COLUMNS);
        let mut p = Packed { k, n, bits, group, codes: vec![0; columns * depth * bits / 8], scales: vec![0.0; columns * groups], zeros: zeros.to_vec(), steps: None };
        if zeros.len() > 1 {
            p.zeros = vec![0; columns * groups];
        }
        for (i, row) in codes.chunks_exact(k).enumerate() {
            for (j, &code) in row.iter().enumerate() {
                for part in place(depth, bits, i, j) {
                    p.codes[part.byte] |= (code >> part.low & part.mask) << part.shift;
                }
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

    /// The same with whole steps [n, groups] under one scale a column: the first of its group scales.
    pub fn progressive(mut self, steps: &[u8]) -> Packed {
        let groups = self.k.div_ceil(self.group);
        let (old, columns) = (self.scales, self.n.next_multiple_of(COLUMNS));
        let mut packed = vec![0; columns * groups];
        self.scales = vec![0.0; columns];
        for n in 0..self.n {
            for g in 0..groups {
                packed[(n / COLUMNS * groups + g) * COLUMNS + n % COLUMNS] = steps[n * groups + g];
            }
            self.scales[n] = old[n / COLUMNS * groups * COLUMNS + n % COLUMNS];
        }
        self.steps = Some(packed);
        self
    }

    pub fn weight(&self) -> Weight<'_> {
        let zeros = if self.zeros.len() == 1 { Zeros::One(self.zeros[0]) } else { Zeros::Each(&self.zeros) };
        let weight = match &self.steps {
            Some(steps) => Weight::progressive(self.k, self.n, self.group, &self.codes, &self.scales, zeros, steps),
            None => Weight::new(self.k, self.n, self.bits, self.group, &self.codes, &self.scales, zeros),
        };
        weight.expect("a packed weight fits itself")
    }
}
