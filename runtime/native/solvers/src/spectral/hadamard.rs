//! Hadamard matrices applied to lines of an array, in float64: Sylvester's matrix of 2^k ⊗ a small one, over √n.

use crate::isa::Isa;
use crate::split::{Shared, Split};

/// Lines that are turned together, side by side.
const LANES: usize = 16;

/// Which lines of x [outer, n, inner]: along the middle axis, in blocks of `size` of its indices from … to.
#[derive(Clone, Copy)]
pub struct Lines {
    pub n: usize,
    pub inner: usize,
    pub from: usize,
    pub to: usize,
    pub size: usize,
}

/// Every line of `x` times (H ⊗ `base`) / √size; `base` [m, m] with size = 2^k·m.
pub fn hadamard(isa: Isa, split: &dyn Split, x: &mut [f64], lines: Lines, base: &[f64]) {
    let Lines { n, inner, from, to, size } = lines;
    let (blocks, outer) = ((to - from) / size, x.len() / (n * inner));
    let count = outer * blocks * inner;
    let start = |line: usize| {
        let (block, j) = (line / inner, line % inner);
        (block / blocks * n + from + block % blocks * size) * inner + j
    };
    let to = Shared::new(x);
    split.run(count.div_ceil(LANES), &|task| {
        let first = task * LANES;
        let starts: Vec<usize> = (first..count.min(first + LANES)).map(start).collect();
        let beside = starts.windows(2).all(|w| w[1] == w[0] + 1);
        let mut held = vec![[0.0; LANES]; size];
        // SAFETY of all accesses: no element is on two lines, and each line belongs to one task.
        let line = |at: usize, len: usize| unsafe { to.at(at, len) };
        if beside {
            for (k, row) in held.iter_mut().enumerate() {
                row[..starts.len()].copy_from_slice(line(starts[0] + k * inner, starts.len()));
            }
        } else {
            for (c, at) in starts.iter().enumerate() {
                for (k, row) in held.iter_mut().enumerate() {
                    row[c] = line(at + k * inner, 1)[0];
                }
            }
        }
        turn(isa, &mut held, base);
        if beside {
            for (k, row) in held.iter().enumerate() {
                line(starts[0] + k * inner, starts.len()).copy_from_slice(&row[..starts.len()]);
            }
        } else {
            for (c, at) in starts.iter().enumerate() {
                for (k, row) in held.iter().enumerate() {
                    line(at + k * inner, 1)[0] = row[c];
                }
            }
        }
    });
}

per_isa! {
    fn turn(x: &mut [[f64; LANES]], base: &[f64]) {
        let size = x.len();
        let m = (base.len() as f64).sqrt().round() as usize;
        if m > 1 {
            let mut y = vec![[0.0; LANES]; m];
            for part in x.chunks_exact_mut(m) {
                y.fill([0.0; LANES]);
                for (row, h) in part.iter().zip(base.chunks_exact(m)) {
                    for (y, h) in y.iter_mut().zip(h) {
                        for c in 0..LANES {
                            y[c] += row[c] * h;
                        }
                    }
                }
                part.copy_from_slice(&y);
            }
        }
        let mut span = m;
        while span < size {
            for pair in x.chunks_exact_mut(2 * span) {
                let (upper, lower) = pair.split_at_mut(span);
                for (a, b) in upper.iter_mut().zip(lower) {
                    for c in 0..LANES {
                        let (p, q) = (a[c], b[c]);
                        a[c] = p + q;
                        b[c] = p - q;
                    }
                }
            }
            span *= 2;
        }
        let unit = 1.0 / (size as f64).sqrt();
        for row in x {
            for v in row {
                *v *= unit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    #[test]
    fn lines_of_every_axis_are_turned_alike_on_every_set() {
        let base = [1.0, 1.0, 1.0, -1.0];
        // H ⊗ base / √8, entry by entry
        let h = |i: usize, j: usize| if ((i & j).count_ones() & 1) == 1 { -1.0 } else { 1.0 } / 8f64.sqrt();
        for (outer, n, inner, from, to) in [(3, 8, 1, 0, 8), (2, 24, 1, 8, 24), (2, 16, 5, 0, 16), (1, 8, 37, 0, 8)] {
            let given: Vec<f64> = (0..outer * n * inner).map(|i| ((i * 7919) % 101) as f64 - 50.0).collect();
            let mut expected = given.clone();
            for o in 0..outer {
                for b in (from..to).step_by(8) {
                    for j in 0..inner {
                        for k in 0..8 {
                            expected[(o * n + b + k) * inner + j] = (0..8).map(|i| given[(o * n + b + i) * inner + j] * h(i, k)).sum();
                        }
                    }
                }
            }
            let found = |isa| {
                let mut x = given.clone();
                hadamard(isa, &Sequential, &mut x, Lines { n, inner, from, to, size: 8 }, &base);
                x
            };
            let scalar = found(Isa::Scalar);
            assert!(scalar.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
            for isa in ["avx2", "avx512"].into_iter().filter_map(Isa::named) {
                assert_eq!(found(isa), scalar);
            }
        }
    }
}
