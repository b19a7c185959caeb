//! The inner loops on a tile of sixteen rows. Sums run over columns from the last to the first, whatever the blocking.

use crate::lanes::F8;

/// One value for each of sixteen rows.
pub type Wide = [F8; 2];

pub const ZERO: Wide = [F8([0.0; 8]); 2];

per_isa! {
    /// sums[r] += Σ_j m[r][j]·e[j], j descending.
    pub fn dots(m: [&[f32]; 4], e: &[Wide], sums: &mut [Wide; 4]) {
        let mut s = *sums;
        let len = e.len();
        let (a, b, c, d) = (&m[0][..len], &m[1][..len], &m[2][..len], &m[3][..len]);
        for j in (0..len).rev() {
            let x = e[j];
            for (sum, factor) in s.iter_mut().zip([a[j], b[j], c[j], d[j]]) {
                let f = F8::splat(factor);
                sum[0] = sum[0] + x[0] * f;
                sum[1] = sum[1] + x[1] * f;
            }
        }
        *sums = s;
    }
}

per_isa! {
    /// v[k] −= Σ_r t[r]·m[r][k], r in order.
    pub fn eliminate(m: [&[f32]; 4], t: [Wide; 4], v: &mut [Wide]) {
        let len = v.len();
        let (a, b, c, d) = (&m[0][..len], &m[1][..len], &m[2][..len], &m[3][..len]);
        for k in 0..len {
            let mut x = v[k];
            for (t, factor) in t.iter().zip([a[k], b[k], c[k], d[k]]) {
                let f = F8::splat(factor);
                x = [x[0] - t[0] * f, x[1] - t[1] * f];
            }
            v[k] = x;
        }
    }
}

/// `sums[i] += Σ_{j in from..to} m[rows[i]][j]·e[j]` for any number of rows of the row-major matrix m [n, n].
pub fn dots_of(isa: crate::isa::Isa, m: &[f32], rows: &[usize], from: usize, to: usize, e: &[Wide], sums: &mut [Wide]) {
    let n = e.len();
    for (four, out) in rows.chunks(4).zip(sums.chunks_mut(4)) {
        let mut s = [ZERO; 4];
        s[..four.len()].copy_from_slice(out);
        let row = |i: usize| {
            let at = four[i.min(four.len() - 1)] * n;
            &m[at + from..at + to]
        };
        dots(isa, [row(0), row(1), row(2), row(3)], &e[from..to], &mut s);
        out.copy_from_slice(&s[..four.len()]);
    }
}

#[inline(always)]
pub fn add(a: Wide, b: Wide) -> Wide {
    [a[0] + b[0], a[1] + b[1]]
}
#[inline(always)]
pub fn sub(a: Wide, b: Wide) -> Wide {
    [a[0] - b[0], a[1] - b[1]]
}
#[inline(always)]
pub fn mul(a: Wide, b: Wide) -> Wide {
    [a[0] * b[0], a[1] * b[1]]
}
/// a·f with one f for all rows.
#[inline(always)]
pub fn scaled(a: Wide, f: f32) -> Wide {
    mul(a, [F8::splat(f); 2])
}
