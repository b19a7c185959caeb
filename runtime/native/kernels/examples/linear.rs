//! Time of the linear kernels on one thread, best of several runs: `cargo run --release --example linear [K N rows…]`, `QC_ISA` forces an instruction set, `ONLY=W4g128` picks a weight, `FLOAT=1` float activations, `BLOCK` rows of a task.
mod common;

use common::best;
use qc_kernels::*;
use std::time::Instant;

/// Memory that begins a line of the cache, as buffers and mapped weights do.
fn aligned<T: Copy>(values: Vec<T>) -> &'static mut [T] {
    let size = std::mem::size_of_val(&values[..]);
    let at = Vec::leak(vec![0u8; size + 64]);
    let from = at.as_ptr().align_offset(64);
    // SAFETY: `size` bytes from a multiple of 64 on, and whatever they hold is written.
    unsafe {
        let to = at[from..].as_mut_ptr().cast::<T>();
        to.copy_from_nonoverlapping(values.as_ptr(), values.len());
        std::slice::from_raw_parts_mut(to, values.len())
    }
}

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let (k, n) = (*args.first().unwrap_or(&4096), *args.get(1).unwrap_or(&4096));
    let rows = if args.len() > 2 { args[2..].to_vec() } else { vec![1, 16, 128, 512] };
    let isa = std::env::var("QC_ISA").map_or(Isa::detect(), |name| Isa::named(&name).expect("an instruction set"));
    let float = std::env::var("FLOAT").is_ok();
    let only = std::env::var("ONLY").ok();
    for (bits, group) in [(4, 128), (4, 32), (8, k), (6, 128), (5, 128), (3, 128), (2, 128)] {
        if only.as_ref().is_some_and(|o| *o != format!("W{bits}g{group}")) {
            continue;
        }
        let codes: &[u8] = aligned((0..n * k * bits / 8).map(|i| (i * 37 + i / 251) as u8).collect());
        let scales = vec![0.01f32; n * k / group];
        let w = Weight::new(k, n, bits, group, codes, &scales, Zeros::One(1 << (bits - 1))).unwrap();
        for &m in &rows {
            let x: Vec<f32> = (0..m * k).map(|i| (i as f32 * 0.7311).sin() * 50.0).collect();
            let block = std::env::var("BLOCK").map_or(((1 << 20) / k / 96).max(1) * 96, |b| b.parse().unwrap());
            let out = Results::new(aligned(vec![0f32; m * n]));
            // The best time of each task, summed: what disturbs one run of a task does not disturb all.
            let all = |block: usize, run: &dyn Fn(&Task)| {
                let mut times = vec![f64::MAX; m.div_ceil(block) * w.panels()];
                let begin = Instant::now();
                while begin.elapsed().as_secs_f64() < 0.6 {
                    for (i, time) in times.iter_mut().enumerate() {
                        let from = i / w.panels() * block;
                        let t = Instant::now();
                        run(&Task { panel: i % w.panels(), rows: from..m.min(from + block) });
                        *time = time.min(t.elapsed().as_secs_f64());
                    }
                }
                times.iter().sum::<f64>()
            };
            let say = |name: &str, t: f64, more: String| {
                let size = (codes.len() + 4 * scales.len()) as f64;
                println!("{} W{bits}{name} g{group} M {m}: {:.3} ms {:.0} GOPS {:.1} GB/s{more}", isa.name(), t * 1e3, 2.0 * (m * n * k) as f64 / t / 1e9, size / t / 1e9);
            };
            if float {
                let mut packed = x.clone();
                let tq = best(|| {
                    let mut r = 0;
                    while r < m {
                        r += pack_floats(isa, &x[r * k..], k, &mut packed[r * k..]);
                    }
                });
                let t = all(96, &|task| float_task(isa, &w, &packed, &Finish::default(), &out, task));
                say(" float", t, format!(", pack {:.3} ms", tq * 1e3));
                continue;
            }
            let tiling = Tiling::of(isa, group);
            let (c, mut s, mut st) = (aligned(vec![0i8; m * k]), vec![0f32; m], vec![0i32; m * k / group]);
            let tq = best(|| {
                let mut r = 0;
                while r < m {
                    let to = r + tiling.height(m - r);
                    let g = k / group;
                    quantize_tile(tiling, &x[r * k..to * k], k, group, 3, TileMut { codes: &mut c[r * k..to * k], scales: &mut s[r..to], starts: &mut st[r * g..to * g] });
                    r = to;
                }
            });
            let tiles = Tiles { tiling, depth: k, group, codes: c, spans: 1, scales: &s, zeros: None, starts: &st, lowest: false };
            let t = all(block, &|task| int8_task(isa, &w, &tiles, &[], &Finish::default(), &out, task));
            say("", t, format!(", quantize {:.3} ms", tq * 1e3));
        }
    }
}
