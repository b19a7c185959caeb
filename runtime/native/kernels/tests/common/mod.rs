//! What the tests of kernels share.
#![allow(dead_code)]

use qc_kernels::Isa;

/// Deterministic numbers (splitmix64).
pub struct Random(pub u64);
impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// In [−1, 1).
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    pub fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.float() * scale).collect()
    }
}

/// ‖y − reference‖ / ‖reference‖.
pub fn relative(reference: &[f64], y: &[f32]) -> f64 {
    assert_eq!(reference.len(), y.len());
    let error: f64 = reference.iter().zip(y).map(|(a, b)| (a - f64::from(*b)).powi(2)).sum();
    let energy: f64 = reference.iter().map(|a| a * a).sum();
    (error / energy.max(1e-300)).sqrt()
}

pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

pub fn each_isa(mut f: impl FnMut(Isa)) {
    for &isa in Isa::ALL {
        if isa.available() {
            f(isa);
        } else {
            println!("skipped: this machine has no {}", isa.name());
        }
    }
}

/// Rows of `k` floats in the tiles of an instruction set.
#[allow(dead_code)]
pub fn packed_floats(isa: Isa, x: &[f32], k: usize) -> Vec<f32> {
    let mut to = vec![f32::NAN; x.len()];
    let mut row = 0;
    while row * k < x.len() {
        row += qc_kernels::pack_floats(isa, &x[row * k..], k, &mut to[row * k..]);
    }
    to
}
