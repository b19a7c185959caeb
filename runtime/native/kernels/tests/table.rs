//! Rows of codes as floats, and affine corrections: exact, equal bits on every instruction set.

mod common;

use common::{each_isa, same_bits, Random};
use qc_kernels::*;

#[test]
fn a_row_of_a_table_is_its_formula() {
    for (rows, width, groups, halves) in [(1, 1, 1, false), (5, 12, 3, true), (3, 33, 11, false), (7, 64, 2, true), (4, 96, 1, false), (2, 2, 2, true)] {
        let mut r = Random(width as u64);
        let bytes = if halves { width / 2 } else { width };
        let codes: Vec<u8> = (0..rows * bytes).map(|_| r.below(256) as u8).collect();
        let scales = r.floats(rows * groups, 2.0);
        let each: Vec<u8> = (0..rows * groups).map(|_| r.below(if halves { 16 } else { 256 }) as u8).collect();
        for zeros in [&each[..], &[8]] {
            let t = Table { width, halves, codes: &codes, groups, scales: &scales, zeros };
            assert_eq!(t.check(rows), Ok(()));
            for row in 0..rows {
                let want: Vec<f32> = (0..width)
                    .map(|k| {
                        let code = if halves { codes[row * bytes + k / 2] >> (4 * (k % 2)) & 15 } else { codes[row * bytes + k] };
                        let at = row * groups + k / (width / groups);
                        let zero = if zeros.len() == 1 { zeros[0] } else { zeros[at] };
                        (f32::from(code) - f32::from(zero)) * scales[at]
                    })
                    .collect();
                each_isa(|isa| {
                    let mut y = vec![f32::NAN; width];
                    table_row(isa, &t, row, &mut y);
                    assert!(same_bits(&y, &want), "{} {width} codes in {groups} groups", isa.name());
                });
            }
        }
    }
    let t = Table { width: 8, halves: true, codes: &[0; 8], groups: 2, scales: &[1.0; 4], zeros: &[8] };
    assert_eq!(t.check(2), Ok(()));
    for bad in [Table { groups: 3, ..t }, Table { groups: 0, ..t }, Table { width: 7, ..t }, Table { zeros: &[], ..t }, Table { scales: &[1.0; 3], ..t }, Table { halves: false, ..t }] {
        assert!(bad.check(2).is_err(), "{bad:?}");
    }
    assert!(t.check(3).is_err() && t.check(usize::MAX).is_err());
}

#[test]
fn rows_of_codes_become_floats() {
    for (rows, width) in [(1, 1), (3, 33), (2, 128)] {
        let mut r = Random(9);
        let codes: Vec<i8> = (0..rows * width).map(|_| r.below(256) as i8).collect();
        let scales = r.floats(rows, 3.0);
        let want: Vec<f32> = codes.iter().enumerate().map(|(i, &q)| f32::from(q) * scales[i / width]).collect();
        each_isa(|isa| {
            let mut y = vec![f32::NAN; want.len()];
            dequantize_rows(isa, &codes, width, &scales, &mut y);
            assert!(same_bits(&y, &want), "{}", isa.name());
        });
    }
}

#[test]
fn affine_corrects_channels() {
    for (outer, channels, inner) in [(1, 1, 1), (3, 5, 1), (2, 7, 9), (2, 3, 64)] {
        let mut r = Random(inner as u64);
        let (x, a, b) = (r.floats(outer * channels * inner, 2.0), r.floats(channels, 3.0), r.floats(channels, 1.0));
        let want: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * a[i / inner % channels] + b[i / inner % channels]).collect();
        each_isa(|isa| {
            let mut y = vec![f32::NAN; x.len()];
            affine(isa, &x, inner, &a, &b, &mut y);
            assert!(same_bits(&y, &want), "{} {channels}·{inner}", isa.name());
        });
    }
}
