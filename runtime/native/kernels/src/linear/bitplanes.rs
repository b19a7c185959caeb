//! Products of integers as bit planes: Σ_k w·a = Σ_ij ±2^(i+j)·popcount(plane i of w AND plane j of a), 64 steps a word.
//!
//! No operator takes this path. Measured beside unpacking to int8 on one core with vpopcntq (docs/measured/kernels.md), int6 × int8 for one row that is in
//! the cache is slower, and with more rows it is far from vpdpbusd: 48 AND-and-count for each 64 products. It would pay where both sides have one or two bits.

use crate::layout::{Weight, COLUMNS};
use crate::Isa;

/// Steps of a word.
pub const WORD: usize = 64;
/// Planes of an int8: two's complement, the last one counts −128.
const BYTE: usize = 8;

/// Codes of a weight as planes: [panels, words, bits, 32].
pub struct BitPlanes {
    pub bits: usize,
    pub words: usize,
    planes: Vec<[u64; COLUMNS]>,
}

impl BitPlanes {
    /// Of the (unsigned) codes of a weight in layout 1; steps from K on are 0.
    pub fn of(w: &Weight) -> BitPlanes {
        let words = w.k.div_ceil(WORD);
        let mut planes = vec![[0u64; COLUMNS]; w.panels() * words * w.bits];
        for n in 0..w.n {
            for k in 0..w.k {
                let code = w.code(n, k);
                for bit in (0..w.bits).filter(|bit| code >> bit & 1 == 1) {
                    planes[(n / COLUMNS * words + k / WORD) * w.bits + bit][n % COLUMNS] |= 1 << (k % WORD);
                }
            }
        }
        BitPlanes { bits: w.bits, words, planes }
    }
}

/// A row of int8 as planes: [words, 8].
pub fn planes_of_row(a: &[i8]) -> Vec<[u64; BYTE]> {
    let word = |a: &[i8]| std::array::from_fn(|j| a.iter().enumerate().map(|(k, &q)| u64::from(q as u8 >> j & 1) << k).sum());
    a.chunks(WORD).map(word).collect()
}

/// Σ_k code·a of the words `from..to` of a panel's 32 columns. Panics where sizes do not fit.
pub fn bit_products(isa: Isa, w: &BitPlanes, panel: usize, a: &[[u64; BYTE]], words: std::ops::Range<usize>) -> [i32; COLUMNS] {
    assert!(isa.available() && words.start <= words.end && words.end <= w.words && a.len() >= words.end);
    let planes = &w.planes[(panel * w.words + words.start) * w.bits..(panel * w.words + words.end) * w.bits];
    let a = &a[words];
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the machine has the features.
    unsafe {
        let wide = matches!(isa, Isa::Avx512Vnni | Isa::Amx) && is_x86_feature_detected!("avx512vpopcntdq");
        if wide {
            return avx512(planes, w.bits, a);
        }
        if isa != Isa::Scalar {
            return avx2(planes, w.bits, a);
        }
    }
    body(planes, w.bits, a)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
unsafe fn avx512(planes: &[[u64; COLUMNS]], bits: usize, a: &[[u64; BYTE]]) -> [i32; COLUMNS] {
    body(planes, bits, a)
}
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(planes: &[[u64; COLUMNS]], bits: usize, a: &[[u64; BYTE]]) -> [i32; COLUMNS] {
    body(planes, bits, a)
}

/// One loop for every set: a column is a lane, and counting bits is an instruction or a table of nibbles.
#[inline(always)]
fn body(planes: &[[u64; COLUMNS]], bits: usize, a: &[[u64; BYTE]]) -> [i32; COLUMNS] {
    let mut sums = [0u64; COLUMNS];
    for (planes, a) in planes.chunks_exact(bits).zip(a) {
        for (i, plane) in planes.iter().enumerate() {
            for (c, sum) in sums.iter_mut().enumerate() {
                let count = |j: usize| u64::from((plane[c] & a[j]).count_ones()) << j;
                let positive = count(0) + count(1) + count(2) + count(3) + count(4) + count(5) + count(6);
                *sum = sum.wrapping_add(positive.wrapping_sub(count(7)) << i);
            }
        }
    }
    sums.map(|s| s as i32)
}
