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

/// Columns of a stretch: what sixteen rows have there, and the matrix beside it, fits the first-level cache.
const STRETCH: usize = 256;

/// `sums[i] += Σ_{j in from..to} m[rows[i]][j]·e[j]` for any number of rows of the row-major matrix m [n, n].
pub fn dots_of(isa: crate::isa::Isa, m: &[f32], rows: &[usize], from: usize, to: usize, e: &[Wide], sums: &mut [Wide]) {
    let n = e.len();
    let mut end = to;
    while end > from {
        let start = from.max(end.saturating_sub(STRETCH));
        let e = &e[start..end];
        let row = |i: usize| &m[rows[i] * n + start..rows[i] * n + end];
        let mut at = 0;
        #[cfg(target_arch = "x86_64")]
        if isa == crate::isa::Isa::Avx512 {
            while at + 8 <= rows.len() {
                // SAFETY: the set is only made where the machine has it; every row is as long as e.
                unsafe { x86::dots(std::array::from_fn(|r| row(at + r)), e, &mut sums[at..at + 8]) };
                at += 8;
            }
        }
        while at < rows.len() {
            let count = 4.min(rows.len() - at);
            let mut s = [ZERO; 4];
            s[..count].copy_from_slice(&sums[at..at + count]);
            dots(isa, std::array::from_fn(|r| row(at + r.min(count - 1))), e, &mut s);
            sums[at..at + count].copy_from_slice(&s[..count]);
            at += count;
        }
        end = start;
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Wide;
    use std::arch::x86_64::*;

    /// sums[r] += Σ_j m[r][j]·e[j], j descending; sixteen rows of a tile in one register.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn dots(m: [&[f32]; 8], e: &[Wide], sums: &mut [Wide]) {
        let to = sums.as_mut_ptr();
        let mut s = [_mm512_setzero_ps(); 8];
        for r in 0..8 {
            s[r] = _mm512_loadu_ps(to.add(r).cast());
        }
        let m = [m[0].as_ptr(), m[1].as_ptr(), m[2].as_ptr(), m[3].as_ptr(), m[4].as_ptr(), m[5].as_ptr(), m[6].as_ptr(), m[7].as_ptr()];
        for j in (0..e.len()).rev() {
            let x = _mm512_loadu_ps(e.as_ptr().add(j).cast());
            for r in 0..8 {
                s[r] = _mm512_add_ps(s[r], _mm512_mul_ps(x, _mm512_set1_ps(*m[r].add(j))));
            }
        }
        for r in 0..8 {
            _mm512_storeu_ps(to.add(r).cast(), s[r]);
        }
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
