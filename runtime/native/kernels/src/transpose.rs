//! Transposes of float32 matrices by blocks of four: moves only, so the bits are those of a plain loop.

/// to[c, r] = from[r, c] for `rows` × `columns`; strides in elements.
///
/// # Safety
/// Both sides hold as many elements as sizes and strides say, and do not overlap.
#[inline(always)]
pub unsafe fn transpose(from: *const f32, from_stride: usize, rows: usize, columns: usize, to: *mut f32, to_stride: usize) {
    let (whole_rows, whole_columns) = (rows / 4 * 4, columns / 4 * 4);
    for r in (0..whole_rows).step_by(4) {
        for c in (0..whole_columns).step_by(4) {
            block(from.add(r * from_stride + c), from_stride, to.add(c * to_stride + r), to_stride);
        }
    }
    for r in 0..rows {
        let rest = if r < whole_rows { whole_columns } else { 0 };
        for c in rest..columns {
            *to.add(c * to_stride + r) = *from.add(r * from_stride + c);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn block(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    // SSE is in the baseline of x86-64.
    use std::arch::x86_64::{_mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};
    let row = |i: usize| _mm_loadu_ps(from.add(i * from_stride));
    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
    let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
    let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
    _mm_storeu_ps(to, _mm_movelh_ps(ab, cd));
    _mm_storeu_ps(to.add(to_stride), _mm_movehl_ps(cd, ab));
    _mm_storeu_ps(to.add(2 * to_stride), _mm_movelh_ps(ab_high, cd_high));
    _mm_storeu_ps(to.add(3 * to_stride), _mm_movehl_ps(cd_high, ab_high));
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn block(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    for r in 0..4 {
        for c in 0..4 {
            *to.add(c * to_stride + r) = *from.add(r * from_stride + c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn every_size_by_the_definition() {
        for (rows, columns) in [(1, 1), (3, 5), (4, 4), (7, 16), (32, 16), (30, 13), (32, 64)] {
            let (from_stride, to_stride) = (columns + 3, rows + 2);
            let from: Vec<f32> = (0..rows * from_stride).map(|i| i as f32).collect();
            let mut to = vec![-1.0; columns * to_stride];
            // SAFETY: sizes as above.
            unsafe { transpose(from.as_ptr(), from_stride, rows, columns, to.as_mut_ptr(), to_stride) };
            for c in 0..columns {
                for r in 0..to_stride {
                    let want = if r < rows { from[r * from_stride + c] } else { -1.0 };
                    assert_eq!(to[c * to_stride + r], want, "{rows}×{columns} at {c}, {r}");
                }
            }
        }
    }
}
