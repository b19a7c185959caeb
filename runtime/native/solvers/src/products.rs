//! Sums of products of columns in float64, rows in order.

/// Rows that are converted together; columns of X and Y of a kernel.
const DEPTH: usize = 64;
const LEFT: usize = 4;
const RIGHT: usize = 8;
/// Columns of X that one call takes at most.
pub const STRIP: usize = 16;

per_isa! {
    /// strip[i, j] += Σ_r x[r, first + i]·y[r, j] for j from `from` on. X, Y [rows, n]; strip [≤ STRIP, n].
    pub fn add_products(strip: &mut [f64], first: usize, from: usize, x: &[f32], y: &[f32], n: usize) {
        let height = strip.len() / n;
        let mut left = [[[0.0f64; LEFT]; DEPTH]; STRIP / LEFT];
        let mut right = [[0.0f64; RIGHT]; DEPTH];
        for (x, y) in x.chunks(DEPTH * n).zip(y.chunks(DEPTH * n)) {
            let depth = x.len() / n;
            for (r, row) in x.chunks_exact(n).enumerate() {
                for i in 0..height {
                    left[i / LEFT][r][i % LEFT] = f64::from(row[first + i]);
                }
            }
            let mut j = from;
            while j < n {
                let width = RIGHT.min(n - j);
                for (to, row) in right.iter_mut().zip(y.chunks_exact(n)) {
                    for (t, &v) in to.iter_mut().zip(&row[j..j + width]) {
                        *t = f64::from(v);
                    }
                }
                for (group, left) in left.iter().enumerate().take(height.div_ceil(LEFT)) {
                    let rows = LEFT.min(height - group * LEFT);
                    let mut sum = [[0.0f64; RIGHT]; LEFT];
                    for (r, sum) in sum.iter_mut().enumerate().take(rows) {
                        let at = (group * LEFT + r) * n + j;
                        sum[..width].copy_from_slice(&strip[at..at + width]);
                    }
                    for (a, b) in left[..depth].iter().zip(&right[..depth]) {
                        for r in 0..LEFT {
                            for c in 0..RIGHT {
                                sum[r][c] += a[r] * b[c];
                            }
                        }
                    }
                    for (r, sum) in sum.iter().enumerate().take(rows) {
                        let at = (group * LEFT + r) * n + j;
                        strip[at..at + width].copy_from_slice(&sum[..width]);
                    }
                }
                j += width;
            }
        }
    }
}
