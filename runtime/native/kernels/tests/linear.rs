//! Kernel = definition, on every instruction set: odd shapes, extreme values, all widths, all kinds of inputs and zero points.

mod common;

use common::{each_isa, relative, same_bits, Random};
use qc_kernels::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fill {
    Random,
    /// All codes the largest, all activations of one sign and size: the sums that would overflow first.
    Extreme,
}

/// What a linear layer reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    Float,
    /// Floats that the layer rounds by the row.
    Rows,
    /// Codes with one scale a row, or `spans` of them, without or with zero points.
    Codes { spans: usize, zeros: bool },
}

struct Case {
    packed: Packed,
    input: Input,
    x: Vec<f32>,
    codes: Vec<i8>,
    scales: Vec<f32>,
    zeros: Vec<i32>,
    rows: usize,
    name: String,
}

#[allow(clippy::too_many_arguments)]
fn case(seed: u64, rows: usize, k: usize, n: usize, bits: usize, group: usize, each: bool, fill: Fill, input: Input, progressive: bool) -> Case {
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
    let mut packed = Packed::pack(k, n, bits, group, &codes, &scales, &zeros);
    if progressive {
        // At most 8: (code − zero)·step stays in int8.
        let steps: Vec<u8> = (0..n * groups).map(|_| 1 + r.below(8) as u8).collect();
        packed = packed.progressive(&steps);
    }
    let x = (0..rows * k)
        .map(|i| match fill {
            Fill::Random => r.float() * if r.below(50) == 0 { 20.0 } else { 1.0 },
            Fill::Extreme => [-3.0, 3.0][(i / k + seed as usize / 2) % 2],
        })
        .collect();
    let spans = if let Input::Codes { spans, .. } = input { spans } else { 1 };
    let held = (0..rows * k).map(|i| match fill {
        Fill::Random => r.below(256) as u8 as i8,
        Fill::Extreme => [-128, 127][(i / k + seed as usize / 2) % 2],
    });
    let codes = held.collect();
    let scales = (0..rows * spans).map(|_| 0.01 + r.float().abs()).collect();
    let zeros = (0..rows * spans).map(|_| r.below(256) as i32 - 128).collect();
    let name = format!("{input:?} rows {rows} k {k} n {n} bits {bits} group {group} zeros {each} {fill:?} progressive {progressive}");
    Case { packed, input, x, codes, scales, zeros, rows, name }
}

struct Quantized {
    tiling: Tiling,
    group: usize,
    spans: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    zeros: Option<Vec<i32>>,
    starts: Vec<i32>,
    lowest: bool,
}

fn quantized(isa: Isa, c: &Case) -> Quantized {
    let w = c.packed.weight();
    let depth = w.depth();
    let (spans, with_zeros) = if let Input::Codes { spans, zeros } = c.input { (spans, zeros) } else { (1, false) };
    let group = w.group.min(depth / spans);
    let tiling = Tiling::of(isa, group);
    let (count, groups) = (c.rows, depth / group);
    let mut q = Quantized { tiling, group, spans, codes: vec![99; count * depth], scales: vec![0.0; count * spans], zeros: with_zeros.then(|| vec![0; count * spans]), starts: vec![0; count * groups], lowest: false };
    let mut m = 0;
    while m < count {
        let to = m + tiling.height(count - m);
        let tile = TileMut { codes: &mut q.codes[m * depth..to * depth], scales: &mut q.scales[m * spans..to * spans], starts: &mut q.starts[m * groups..to * groups] };
        let factor = start_factor(isa, &w);
        if c.input == Input::Rows {
            quantize_tile(tiling, &c.x[m * w.k..to * w.k], w.k, group, factor, tile);
        } else {
            for i in 0..(to - m) * spans {
                let from = (m + i % (to - m)) * spans + i / (to - m);
                tile.scales[i] = c.scales[from];
                if let Some(zeros) = &mut q.zeros {
                    zeros[m * spans + i] = c.zeros[from];
                }
            }
            q.lowest |= pack_rows(tiling, &c.codes[m * w.k..to * w.k], w.k, group, factor, tile);
        }
        m = to;
    }
    q
}

fn run_into(isa: Isa, c: &Case, finish: &Finish, y: &Results) {
    let w = c.packed.weight();
    let q = quantized(isa, c);
    let rows = Tiles { tiling: q.tiling, depth: w.depth(), group: q.group, codes: &q.codes, spans: q.spans, scales: &q.scales, zeros: q.zeros.as_deref(), starts: &q.starts, lowest: q.lowest };
    let packed = common::packed_floats(isa, &c.x, w.k);
    let mut columns = vec![0; w.panels() * rows.groups() * COLUMNS];
    for (panel, to) in columns.chunks_exact_mut(rows.groups() * COLUMNS).enumerate() {
        column_sums(isa, &w, q.group, panel, to);
    }
    for panel in 0..w.panels() {
        // Two tasks: rows may start at a border.
        let border = c.rows / 2 / Tiling::BORDER * Tiling::BORDER;
        for rows_of in [0..border, border..c.rows] {
            let task = Task { panel, rows: rows_of };
            if c.input == Input::Float {
                float_task(isa, &w, &packed, finish, y, &task);
            } else {
                int8_task(isa, &w, &rows, &columns, finish, y, &task);
            }
        }
    }
}

fn run(isa: Isa, c: &Case, finish: &Finish) -> Vec<f32> {
    let mut y = vec![f32::NAN; c.rows * c.packed.n];
    run_into(isa, c, finish, &Results::new(&mut y));
    y
}

/// x·Wᵀ by the definition, in float64.
fn reference(c: &Case) -> Vec<f64> {
    let w = c.packed.weight();
    // Scalar tiles are single rows.
    let q = quantized(Isa::Scalar, c);
    let weights: Vec<f64> = (0..w.n * w.k).map(|i| w.value(i / w.k, i % w.k)).collect();
    let mut y = Vec::new();
    for m in 0..c.rows {
        let x: Vec<f64> = (0..w.k)
            .map(|k| match c.input {
                Input::Float => f64::from(c.x[m * w.k + k]),
                _ => {
                    let span = m * q.spans + k * q.spans / w.depth();
                    let zero = q.zeros.as_ref().map_or(0, |z| z[span]);
                    f64::from(i32::from(q.codes[m * w.depth() + k]) - zero) * f64::from(q.scales[span])
                }
            })
            .collect();
        y.extend((0..w.n).map(|n| x.iter().zip(&weights[n * w.k..]).map(|(a, b)| a * b).sum::<f64>()));
    }
    y
}

const SHAPES: [(usize, usize, usize); 10] = [(1, 1, 1), (1, 32, 32), (2, 37, 33), (3, 64, 31), (5, 130, 70), (9, 96, 64), (17, 260, 40), (34, 128, 100), (67, 1280, 33), (210, 192, 64)];

/// Every width beside every kind of input, in shapes that differ from width to width.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut seed = 0;
    let inputs = [Input::Float, Input::Rows, Input::Codes { spans: 1, zeros: false }, Input::Codes { spans: 1, zeros: true }];
    for (i, &(rows, k, n)) in SHAPES.iter().enumerate() {
        for bits in WIDTHS {
            let groups = [4, 16, 32, 96, 128, 640, k.next_multiple_of(4)];
            for (g, &group) in groups.iter().enumerate() {
                // All widths meet all groups and shapes, not all of them each other.
                if (g + bits + i) % if bits == 4 || bits == 8 { 2 } else { 4 } != 0 {
                    continue;
                }
                for input in inputs {
                    seed += 1;
                    let fill = if seed % 5 < 2 { Fill::Extreme } else { Fill::Random };
                    all.push(case(seed, rows, k, n, bits, group, seed % 2 == 0, fill, input, bits == 4 && group <= 128 && seed % 3 == 0));
                }
            }
        }
    }
    // Scales of activations by group: as long as those of the weight, shorter, longer.
    for (rows, spans, group) in [(1, 3, 64), (5, 3, 192), (7, 12, 64), (40, 3, 16), (70, 6, 192), (33, 1, 32)] {
        for bits in WIDTHS {
            for zeros in [false, true] {
                seed += 1;
                all.push(case(seed, rows, 192, 33, bits, group, seed % 2 == 0, Fill::Random, Input::Codes { spans, zeros }, false));
            }
        }
    }
    all
}

#[test]
fn kernels_compute_their_definition_in_the_same_bits() {
    for c in cases() {
        let want = reference(&c);
        let scalar = run(Isa::Scalar, &c, &Finish::default());
        let error = relative(&want, &scalar);
        assert!(error < 1e-6, "scalar {}: {error}", c.name);
        each_isa(|isa| assert!(same_bits(&run(isa, &c, &Finish::default()), &scalar), "{} {}", isa.name(), c.name));
    }
}

#[test]
fn sums_are_finished() {
    for (rows, n) in [(1, 33), (5, 64), (40, 31)] {
        let mut r = Random(rows as u64);
        let c = case(3, rows, 64, n, 4, 32, false, Fill::Random, Input::Rows, false);
        let (bias, whole) = (r.floats(n, 1.0), r.floats(rows * n, 2.0));
        let rank = 5;
        let (h, mut up) = (r.floats(rows * rank, 1.0), vec![0.0; n.next_multiple_of(32) * rank]);
        for i in 0..n * rank {
            up[(i % n / 32 * rank + i / n) * 32 + i % n % 32] = r.float();
        }
        // Halves with few bits: what they stand for is exact.
        let halves: Vec<u16> = (0..up.len()).map(|_| r.below(0x7800) as u16 | (r.below(2) << 15) as u16).collect();
        let small = |bits: u16| f64::from(if bits & 0x7c00 == 0 { f32::from(bits & 0x3ff) * 2f32.powi(-24) } else { f32::from(bits & 0x3ff | 0x400) * 2f32.powi(i32::from(bits >> 10 & 31) - 25) }) * if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let other: Vec<f32> = whole.iter().rev().copied().collect();
        for (gate, residual, half) in [(None, None, false), (None, Some(&whole[..]), true), (Some(&whole[..]), None, false), (Some(&whole[..]), Some(&other[..]), true)] {
            let branch = Branch { rank, h: &h, up: if half { Factor::Half(&halves) } else { Factor::Float(&up) } };
            let factor = |i: usize| if half { small(halves[i]) } else { f64::from(up[i]) };
            let finish = Finish { bias: Some(&bias), branch: Some(branch), gate, residual };
            let mut want = reference(&c);
            for (i, y) in want.iter_mut().enumerate() {
                let (m, n) = (i / n, i % n);
                *y += f64::from(bias[n]) + (0..rank).map(|k| f64::from(h[m * rank + k]) * factor((n / 32 * rank + k) * 32 + n % 32)).sum::<f64>();
                if let Some(gate) = gate {
                    let g = f64::from(gate[i]);
                    *y *= g / (1.0 + (-g).exp());
                }
                *y += residual.map_or(0.0, |r| f64::from(r[i]));
            }
            let scalar = run(Isa::Scalar, &c, &finish);
            assert!(relative(&want, &scalar) < 1e-6);
            each_isa(|isa| {
                assert!(same_bits(&run(isa, &c, &finish), &scalar), "{} {rows} {n}", isa.name());
                let mut codes = vec![99i8; rows * n];
                run_into(isa, &c, &finish, &Results::Codes(Output::new(&mut codes), 0.5));
                for (q, y) in codes.iter().zip(&scalar) {
                    assert_eq!(*q, (y / 0.5).round_ties_even().clamp(-128.0, 127.0) as i8);
                }
            });
        }
    }
}

#[test]
fn long_sums_do_not_overflow() {
    for (bits, seed, input) in [(8, 2, Input::Rows), (8, 3, Input::Rows), (4, 2, Input::Rows), (6, 2, Input::Codes { spans: 1, zeros: false })] {
        let c = case(seed, 2, 65536, 3, bits, 65536, false, Fill::Extreme, input, false);
        let want = reference(&c);
        each_isa(|isa| assert!(relative(&want, &run(isa, &c, &Finish::default())) < 1e-6));
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
    assert!(make(32, 32, 3, 32, &codes, &scales, Zeros::One(4)).contains("need 384 bytes of codes, not 512"));
    assert!(make(32, 32, 9, 32, &codes, &scales, Zeros::One(8)).contains("2 to 8 bits"));
    let progressive = |scales, steps| Weight::progressive(32, 32, 16, &codes, scales, Zeros::One(8), steps).err().unwrap_or_default();
    assert_eq!(progressive(&scales, &[1; 64]), "");
    assert!(progressive(&scales, &[1; 63]).contains("need 64 steps, not 63"));
    assert!(progressive(&scales[1..], &[1; 64]).contains("need 32 scales, not 31"));
    assert!(make(32, 32, 4, 6, &codes, &scales, Zeros::One(8)).contains("multiple of 4"));
    assert!(make(32, 32, 4, 0, &codes, &scales, Zeros::One(8)).contains("multiple of 4"));
    assert!(make(0, 32, 4, 32, &codes, &scales, Zeros::One(8)).contains("at least 1"));
    assert!(make(usize::MAX, usize::MAX, 4, 32, &codes, &scales, Zeros::One(8)).contains("too large"));
}
