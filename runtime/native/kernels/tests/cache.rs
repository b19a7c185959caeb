//! Rows of a cache in codes: the formula of the simulation, equal bytes on every instruction set; the cache that grows in place.

mod common;

use common::{each_isa, Random};
use qc_kernels::*;

const KINDS: [RowCodes; 6] = [
    RowCodes { lo: 0.0, hi: 15.0, shift: 0.0, fit: Fit::Zeros, packed: true },
    RowCodes { lo: -8.0, hi: 7.0, shift: 8.0, fit: Fit::Zeros, packed: true },
    RowCodes { lo: -8.0, hi: 7.0, shift: 8.0, fit: Fit::Symmetric { top: 7.0, middle: 0.0 }, packed: true },
    RowCodes { lo: 0.0, hi: 255.0, shift: 0.0, fit: Fit::Zeros, packed: false },
    RowCodes { lo: -128.0, hi: 127.0, shift: 128.0, fit: Fit::Symmetric { top: 127.0, middle: 0.0 }, packed: false },
    RowCodes { lo: 0.0, hi: 63.0, shift: 0.0, fit: Fit::Symmetric { top: 31.0, middle: 32.0 }, packed: false },
];

#[test]
fn rows_become_codes_and_come_back() {
    for c in KINDS {
        for dim in [2usize, 64, 70] {
            let mut x = Random(dim as u64).floats(6 * dim, 4.0);
            x[..dim].fill(0.0);
            x[dim..2 * dim].iter_mut().for_each(|v| *v = v.abs() + 2.0);
            x[2 * dim..3 * dim].iter_mut().for_each(|v| *v *= 1e-36);
            x[5 * dim] = f32::NAN;
            let want: Vec<(f32, f32, Vec<f32>)> = x
                .chunks(dim)
                .map(|x| {
                    let (low, high) = x.iter().fold((0.0f32, 0.0f32), |(a, b), &v| (a.min(v), b.max(v)));
                    let (s, z) = match c.fit {
                        Fit::Symmetric { top, middle } => ((high.max(-low) / top).max(1e-30), middle),
                        Fit::Zeros => {
                            let s = ((high - low) / (c.hi - c.lo)).max(1e-30);
                            (s, (c.lo - low / s).round_ties_even().clamp(c.lo, c.hi))
                        }
                    };
                    (s, z, x.iter().map(|v| ((v / s).round_ties_even() + z).clamp(c.lo, c.hi)).collect())
                })
                .collect();
            each_isa(|isa| {
                let (mut codes, mut scales, mut zeros) = (vec![0u8; 6 * c.bytes(dim)], [0.0; 6], vec![0u8; if c.fit == Fit::Zeros { 6 } else { 0 }]);
                encode_rows(isa, &c, dim, &x, &mut codes, &mut scales, &mut zeros);
                let mut y = vec![0.0; x.len()];
                decode_rows(isa, &c, dim, &codes, &scales, &zeros, &mut y);
                for (row, (s, z, q)) in want.iter().enumerate().take(5) {
                    assert_eq!(scales[row], *s);
                    for (i, q) in q.iter().enumerate() {
                        let byte = codes[row * c.bytes(dim) + if c.packed { i / 2 } else { i }];
                        let u = if c.packed { byte >> (4 * (i % 2)) & 15 } else { byte };
                        assert_eq!(f32::from(u), q + c.shift);
                        assert_eq!(y[row * dim + i], (q - z) * s);
                    }
                }
                assert!(scales[5].is_nan() && y[5 * dim].is_nan());
                let mut rounded = x[..5 * dim].to_vec();
                round_rows(isa, &c, dim, &mut rounded);
                assert_eq!(rounded, y[..5 * dim]);
            });
        }
    }
    assert!(KINDS[0].check(7).unwrap_err().contains("even head size"));
    assert!(RowCodes { hi: 16.0, ..KINDS[0] }.check(8).unwrap_err().contains("do not fit 4 bits"));
    assert!(RowCodes { lo: f32::NAN, ..KINDS[0] }.check(8).is_err() && RowCodes { shift: -1.0, ..KINDS[3] }.check(8).is_err());
}

#[test]
fn a_cache_grows_in_place_or_into_another_buffer() {
    let (heads, past, total) = (3usize, 4usize, 6usize);
    let from: Vec<u8> = (0..heads * past).map(|i| i as u8).collect();
    let mut apart = vec![99u8; heads * total];
    // SAFETY: sizes as promised.
    unsafe { carry(from.as_ptr(), apart.as_mut_ptr(), heads, past, total) };
    let mut one = vec![99u8; heads * total];
    one[..from.len()].copy_from_slice(&from);
    unsafe { carry(one.as_ptr(), one.as_mut_ptr(), heads, past, total) };
    for head in 0..heads {
        let want = &from[head * 4..head * 4 + 4];
        assert!(&apart[head * 6..head * 6 + 4] == want && &one[head * 6..head * 6 + 4] == want);
    }
}
