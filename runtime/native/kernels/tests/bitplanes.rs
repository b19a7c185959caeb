//! Bit planes and bytes give the same integers, on every instruction set.

mod common;

use common::{each_isa, Random};
use qc_kernels::bitplanes::{bit_products, planes_of_row, BitPlanes, WORD};
use qc_kernels::*;

#[test]
fn counted_bits_equal_products() {
    let mut r = Random(5);
    for (k, n, bits) in [(1usize, 1usize, 6), (64, 32, 6), (100, 40, 6), (321, 33, 6), (130, 31, 4), (70, 64, 8), (65, 2, 2)] {
        let codes: Vec<u8> = (0..k * n).map(|_| r.below(1 << bits) as u8).collect();
        let group = k.next_multiple_of(4);
        let packed = Packed::pack(k, n, bits, group, &codes, &vec![1.0; n], &[0]);
        let w = packed.weight();
        let planes = BitPlanes::of(&w);
        for lowest in [false, true] {
            let a: Vec<i8> = (0..k).map(|_| if lowest { -128 } else { r.below(256) as u8 as i8 }).collect();
            let row = planes_of_row(&a);
            each_isa(|isa| {
                for panel in 0..w.panels() {
                    // What the linear operators sum by unpacking: of one group, scale 1 and zero point 0.
                    let (mut tile, mut scale, mut starts) = (vec![0i8; w.depth()], [1.0f32], [0i32]);
                    let to = TileMut { codes: &mut tile, scales: &mut scale, starts: &mut starts };
                    let tiling = Tiling::of(isa, group);
                    let low = pack_rows(tiling, &a, k, group, start_factor(isa, &w), to);
                    let x = Tiles { tiling, depth: w.depth(), group, codes: &tile, spans: 1, scales: &[1.0], zeros: None, starts: &starts, lowest: low };
                    let mut y = vec![0.0; n];
                    int8_task(isa, &w, &x, &[], &Finish::default(), &Results::new(&mut y), &Task { panel, rows: 0..1 });
                    let sums = bit_products(isa, &planes, panel, &row, 0..planes.words);
                    let exact = |c: usize| (0..k).map(|i| i32::from(codes[(panel * COLUMNS + c) * k + i]) * i32::from(a[i])).sum::<i32>();
                    for c in 0..COLUMNS.min(n - panel * COLUMNS) {
                        assert_eq!((sums[c], y[panel * COLUMNS + c]), (exact(c), exact(c) as f32), "{} k {k} n {n} bits {bits} column {c}", isa.name());
                    }
                    let split = planes.words.min(1);
                    let first = bit_products(isa, &planes, panel, &row, 0..split);
                    let rest = bit_products(isa, &planes, panel, &row, split..planes.words);
                    assert!((0..COLUMNS).all(|c| first[c] + rest[c] == sums[c]) && WORD == 64);
                }
            });
        }
    }
}
