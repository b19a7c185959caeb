//! int6 × int8, one row: bit planes with popcount beside unpacking to int8. `cargo run --release --example bitplanes [K N]`, `QC_ISA` forces an instruction set.
mod common;

use common::best;
use qc_kernels::bitplanes::{bit_products, planes_of_row, BitPlanes};
use qc_kernels::*;

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let (k, n) = (*args.first().unwrap_or(&4096), *args.get(1).unwrap_or(&512));
    let isa = std::env::var("QC_ISA").map_or(Isa::detect(), |name| Isa::named(&name).expect("an instruction set"));
    let codes: Vec<u8> = (0..n * k * 6 / 8).map(|i| (i * 37 + i / 251) as u8).collect();
    let scales = vec![1.0f32; n * k / 128];
    let w = Weight::new(k, n, 6, 128, &codes, &scales, Zeros::One(32)).expect("a weight");
    let planes = BitPlanes::of(&w);
    let a: Vec<i8> = (0..k).map(|i| (i * 37 % 251) as i8).collect();
    let row = planes_of_row(&a);
    let ops = 2.0 * (k * n) as f64 / 1e9;
    let counted = best(|| {
        for panel in 0..w.panels() {
            for g in 0..k / 128 {
                std::hint::black_box(bit_products(isa, &planes, panel, &row, 2 * g..2 * g + 2));
            }
        }
    });
    let tiling = Tiling::of(isa, 128);
    let (mut tile, mut scale, mut starts) = (vec![0i8; k], [1.0f32], vec![0i32; k / 128]);
    pack_rows(tiling, &a, k, 128, start_factor(isa, &w), TileMut { codes: &mut tile, scales: &mut scale, starts: &mut starts });
    let x = Tiles { tiling, depth: k, group: 128, codes: &tile, spans: 1, scales: &scale, zeros: None, starts: &starts, lowest: false };
    let mut y = vec![0.0; n];
    let unpacked = best(|| {
        let to = Results::new(&mut y);
        (0..w.panels()).for_each(|panel| int8_task(isa, &w, &x, &[], &Finish::default(), &to, &Task { panel, rows: 0..1 }));
    });
    println!("{} int6 x int8, K {k} N {n}, one row: bit planes {:.3} ms {:.0} GOPS, unpacked {:.3} ms {:.0} GOPS", isa.name(), counted * 1e3, ops / counted, unpacked * 1e3, ops / unpacked);
}
