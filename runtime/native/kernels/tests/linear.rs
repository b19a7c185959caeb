//! Kernel = definition, on every instruction set: odd shapes, extreme values, both widths, all kinds of zero points.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

struct Case {
    packed: Packed,
    x: Vec<f32>,
    bias: Vec<f32>,
    rows: usize,
}

#[derive(Clone, Copy)]
enum Fill {
    Random,
    /// All codes the largest, all activations of one sign and size: the sums that would overflow first.
    Extreme,
}

fn case(seed: u64, rows: usize, k: usize, n: usize, bits: usize, group: usize, each: bool, fill: Fill) -> Case {
    let mut r = Random(seed);
    let groups = k.div_ceil(group);
    let top = 1u64 << bits;
    let code = |r: &mut Random| match fill {
        Fill::Random => r.below(top) as u8,
        Fill::Extreme => [0, (top - 1) as u8][usize::from(seed % 2 == 0)],
    };
    let codes: Vec<u8> = (0..n * k).map(|_| code(&mut r)).collect();
    let scales: Vec<f32> = (0..n * groups).map(|_| 0.01 + 0.02 * r.float().abs()).collect();
    let zeros: Vec<u8> = if each { (0..n * groups).map(|_| r.below(top) as u8).collect() } else { vec![(top / 2) as u8] };
    let x = (0..rows * k)
        .map(|i| match fill {
            Fill::Random => r.float() * if r.below(50) == 0 { 20.0 } else { 1.0 },
            Fill::Extreme => [-3.0, 3.0][(i / k + seed as usize / 2) % 2],
        })
        .collect();
    Case { packed: Packed::pack(k, n, bits, group, &codes, &scales, &zeros), x, bias: (0..n).map(|_| r.float()).collect(), rows }
}

struct Quantized {
    tiling: Tiling,
    codes: Vec<i8>,
    scales: Vec<f32>,
    starts: Vec<i32>,
}

fn quantized(isa: Isa, c: &Case) -> Quantized {
    let w = c.packed.weight();
    let (depth, groups) = (w.depth(), w.groups());
    let tiling = Tiling::of(isa, w.group);
    let mut q = Quantized { tiling, codes: vec![99; c.rows * depth], scales: vec![0.0; c.rows], starts: vec![0; c.rows * groups] };
    let mut m = 0;
    while m < c.rows {
        let to = m + tiling.height(c.rows - m);
        let tile = TileMut { codes: &mut q.codes[m * depth..to * depth], scales: &mut q.scales[m..to], starts: &mut q.starts[m * groups..to * groups] };
        quantize_tile(tiling, &c.x[m * w.k..to * w.k], w.k, w.group, start_factor(isa, w.bits, w.zeros), tile);
        m = to;
    }
    q
}

fn run(isa: Isa, c: &Case, bias: Option<&[f32]>, int8: bool) -> Vec<f32> {
    let w = c.packed.weight();
    let mut y = vec![f32::NAN; c.rows * w.n];
    let q = quantized(isa, c);
    let rows = Tiles { tiling: q.tiling, depth: w.depth(), groups: w.groups(), codes: &q.codes, scales: &q.scales, starts: &q.starts };
    let out = Output::new(&mut y);
    for panel in 0..w.panels() {
        // Two tasks: rows may start at a border.
        let border = c.rows / 2 / Tiling::BORDER * Tiling::BORDER;
        for rows_of in [0..border, border..c.rows] {
            let task = Task { panel, rows: rows_of };
            if int8 {
                int8_task(isa, &w, &rows, bias, &out, &task);
            } else {
                float_task(isa, &w, &c.x, bias, &out, &task);
            }
        }
    }
    y
}

/// The definition, in float64.
fn reference(c: &Case, bias: Option<&[f32]>, int8: bool) -> Vec<f64> {
    let w = c.packed.weight();
    // Scalar tiles are single rows.
    let q = quantized(Isa::Scalar, c);
    let mut y = Vec::new();
    for m in 0..c.rows {
        for n in 0..w.n {
            let mut sum = 0.0;
            for k in 0..w.k {
                let at = w.scale_index(n, k);
                let weight = f64::from(w.scales[at]) * (f64::from(w.code(n, k)) - f64::from(w.zero(at)));
                let a = if int8 { f64::from(q.codes[m * w.depth() + k]) * f64::from(q.scales[m]) } else { f64::from(c.x[m * w.k + k]) };
                sum += weight * a;
            }
            y.push(sum + bias.map_or(0.0, |b| f64::from(b[n])));
        }
    }
    y
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut seed = 0;
    for (rows, k, n) in [(1, 1, 1), (1, 32, 32), (2, 37, 33), (3, 64, 31), (5, 130, 70), (9, 96, 64), (17, 260, 40), (34, 128, 100), (67, 1280, 33), (210, 192, 64)] {
        for bits in [4, 8] {
            for group in [4, 16, 32, 96, 128, 640, (k as usize).next_multiple_of(4)] {
                for each in [false, true] {
                    seed += 1;
                    let fill = if seed % 5 < 2 { Fill::Extreme } else { Fill::Random };
                    all.push(case(seed, rows, k, n, bits, group, each, fill));
                }
            }
        }
    }
    all
}

#[test]
fn kernels_compute_their_definition() {
    for c in cases() {
        let bias = (c.rows % 2 == 1).then_some(&c.bias[..]);
        for int8 in [true, false] {
            let want = reference(&c, bias, int8);
            each_isa(|isa| {
                let got = relative(&want, &run(isa, &c, bias, int8));
                assert!(got < 1e-6, "{} int8 {int8} k {} n {} bits {} group {}: {got}", isa.name(), c.packed.k, c.packed.n, c.packed.bits, c.packed.group);
            });
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for c in cases() {
        let want = [true, false].map(|int8| run(Isa::Scalar, &c, Some(&c.bias), int8));
        each_isa(|isa| {
            for (int8, want) in [true, false].into_iter().zip(&want) {
                let same = same_bits(&run(isa, &c, Some(&c.bias), int8), want);
                assert!(same, "{} int8 {int8} k {} n {} bits {} group {}", isa.name(), c.packed.k, c.packed.n, c.packed.bits, c.packed.group);
            }
        });
    }
}

#[test]
fn long_sums_do_not_overflow() {
    for (bits, seed) in [(8, 2), (8, 3), (4, 2)] {
        let c = case(seed, 2, 65536, 3, bits, 65536, false, Fill::Extreme);
        let want = reference(&c, None, true);
        each_isa(|isa| assert!(relative(&want, &run(isa, &c, None, true)) < 1e-6));
    }
}

#[test]
fn rows_are_rounded_half_to_even() {
    each_isa(|isa| {
        let x = [127.0, 0.5, 1.5, -2.5, -127.0, 3.49];
        let (mut codes, mut scale) = ([9; 8], 0.0);
        quantize_row(isa, &x, &mut codes, &mut scale);
        assert_eq!((codes, scale), ([127, 0, 2, -2, -127, 3, 0, 0], 1.0));
    });
}

#[test]
fn odd_rows() {
    each_isa(|isa| {
        let row = |x: [f32; 2]| {
            let (mut codes, mut scale) = ([9; 4], 0.0);
            quantize_row(isa, &x, &mut codes, &mut scale);
            (codes, scale)
        };
        for x in [[0.0, -0.0], [1e-40, 0.0]] {
            assert!(row(x).0 == [0; 4] && row(x).1 > 0.0);
        }
        for x in [[f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert!(row(x).0 == [0; 4] && row(x).1.is_nan());
        }
        assert_eq!(row([f32::MAX, -f32::MAX]).0, [127, -127, 0, 0]);
    });
}

#[test]
fn tiles_hold_their_rows() {
    each_isa(|isa| {
        for group in [4, 32, 64] {
            let tiling = Tiling::of(isa, group);
            for rows in [1, 2, 4, 8, 12, 16, 32].into_iter().filter(|&r| tiling.height(r) == r) {
                let codes: Vec<i8> = (0..rows * 2 * group).map(|i| (i * 37 % 251) as i8).collect();
                let (mut to, mut starts) = (vec![0; codes.len()], vec![0; rows * 2]);
                pack_tile(tiling, &codes, rows, group, -3, &mut to, &mut starts);
                let step = if rows > 12 { tiling.step } else { 4 };
                for (i, &code) in codes.iter().enumerate() {
                    let (r, k) = (i / (2 * group), i % (2 * group));
                    assert_eq!(to[(k / step * rows + r) * step + k % step], code);
                }
                for (i, &start) in starts.iter().enumerate() {
                    let from = (i % rows * 2 + i / rows) * group;
                    assert_eq!(start, -3 * codes[from..from + group].iter().map(|&q| i32::from(q)).sum::<i32>());
                }
            }
        }
    });
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (codes, scales) = (vec![0; 64 * 8], vec![0.0; 32]);
    let make = |k, n, bits, group, codes, scales, zeros| Weight::new(k, n, bits, group, codes, scales, zeros).err().unwrap_or_default();
    assert_eq!(make(32, 32, 4, 32, &codes, &scales, Zeros::One(8)), "");
    assert!(make(32, 33, 4, 32, &codes, &scales, Zeros::One(8)).contains("need 1024 bytes of codes, not 512"));
    assert!(make(32, 32, 4, 16, &codes, &scales, Zeros::One(8)).contains("need 64 scales, not 32"));
    assert!(make(32, 32, 4, 32, &codes, &scales, Zeros::Each(&[1])).contains("need 32 zero points, not 1"));
    assert!(make(32, 32, 3, 32, &codes, &scales, Zeros::One(8)).contains("4 or 8 bits"));
    assert!(make(32, 32, 4, 6, &codes, &scales, Zeros::One(8)).contains("multiple of 4"));
    assert!(make(32, 32, 4, 0, &codes, &scales, Zeros::One(8)).contains("multiple of 4"));
    assert!(make(0, 32, 4, 32, &codes, &scales, Zeros::One(8)).contains("at least 1"));
    assert!(make(usize::MAX, usize::MAX, 4, 32, &codes, &scales, Zeros::One(8)).contains("too large"));
}
