//! Loops over rows of float64. Sums have eight parts whatever the instruction set, so that no bit depends on it.

const LANES: usize = 8;

per_isa! {
    /// Σ a_i b_i: eight sums over every eighth product, added pairwise; the rest behind them in order.
    pub fn dot(a: &[f64], b: &[f64]) -> f64 {
        let (a, b) = (&a[..a.len().min(b.len())], &b[..a.len().min(b.len())]);
        let ((x, xs), (y, ys)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut sums = [0.0; LANES];
        for (x, y) in x.iter().zip(y) {
            for i in 0..LANES {
                sums[i] += x[i] * y[i];
            }
        }
        let whole = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
        xs.iter().zip(ys).fold(whole, |s, (x, y)| s + x * y)
    }
}

per_isa! {
    /// to −= f·v.
    pub fn subtract(to: &mut [f64], f: f64, v: &[f64]) {
        for (t, x) in to.iter_mut().zip(v) {
            *t -= f * x;
        }
    }
}

per_isa! {
    /// to −= a·w + b·v.
    pub fn subtract_two(to: &mut [f64], a: f64, w: &[f64], b: f64, v: &[f64]) {
        for ((t, x), y) in to.iter_mut().zip(w).zip(v) {
            *t -= a * x + b * y;
        }
    }
}

per_isa! {
    /// Turns two rows: upper ← c·upper − s·lower, lower ← s·upper + c·lower.
    pub fn turn(upper: &mut [f64], lower: &mut [f64], c: f64, s: f64) {
        for (a, b) in upper.iter_mut().zip(lower) {
            let (x, y) = (*a, *b);
            *b = s * x + c * y;
            *a = c * x - s * y;
        }
    }
}
