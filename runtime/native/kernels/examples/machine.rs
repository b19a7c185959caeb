//! What this machine can do at most, as one line of JSON: `cargo run --release --example machine -- THREADS`.
//! Products of int8 in registers (no memory) by instruction set, and reading: from the second-level cache, the third, and memory.
use std::time::Instant;

/// Runs `f` on `threads` threads at once, gives how often a second `work` was done, best of several runs.
fn rate(threads: usize, work: f64, f: impl Fn(usize) + Sync) -> f64 {
    let mut best = 0.0f64;
    for _ in 0..7 {
        let begin = Instant::now();
        std::thread::scope(|s| (0..threads).for_each(|i| drop(s.spawn({ let f = &f; move || f(i) }))));
        best = best.max(threads as f64 * work / begin.elapsed().as_secs_f64());
    }
    best
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::{asm, x86_64::*};

    macro_rules! peak {
        ($name:ident, $features:literal, $zero:ident, $one:ident, $multiply:expr) => {
            #[target_feature(enable = $features)]
            pub fn $name(rounds: usize) {
                let (mut sums, w) = ([$zero(); 12], std::hint::black_box($one(3)));
                for _ in 0..rounds {
                    for s in &mut sums {
                        *s = $multiply(*s, w, w);
                    }
                }
                std::hint::black_box(sums);
            }
        };
    }
    peak!(avxvnni, "avx2,avxvnni", _mm256_setzero_si256, _mm256_set1_epi8, |s, a, b| _mm256_dpbusd_avx_epi32(s, a, b));
    peak!(avx512vnni, "avx512f,avx512bw,avx512vnni", _mm512_setzero_si512, _mm512_set1_epi8, |s, a, b| _mm512_dpbusd_epi32(s, a, b));

    /// Safety: the machine has AMX and allows it.
    pub unsafe fn amx(rounds: usize) {
        let configured = qc_kernels::simd::amx::Configured::new(64);
        for _ in 0..rounds {
            asm!("tdpbsud tmm0, tmm4, tmm6", "tdpbsud tmm1, tmm4, tmm7", "tdpbsud tmm2, tmm5, tmm6", "tdpbsud tmm3, tmm5, tmm7", options(nostack, nomem));
        }
        drop(configured);
    }
}

fn main() {
    let threads = std::env::args().nth(1).map_or(1, |a| a.parse().expect("a number of threads"));
    let mut fields = vec![format!("\"threads\": {threads}")];
    #[cfg(target_arch = "x86_64")]
    for &isa in qc_kernels::Isa::ALL {
        let rounds = 1_000_000;
        // Products and sums of one round.
        let ops = rounds as f64 * match isa.name() { "avxvnni" => 12.0 * 64.0, "avx512vnni" => 12.0 * 128.0, "amx" => 4.0 * 32768.0 / 16.0, _ => continue };
        if isa.available() {
            // SAFETY: the machine has the set.
            let gops = rate(threads, ops / 1e9, |_| unsafe {
                match isa.name() {
                    "avxvnni" => x86::avxvnni(rounds),
                    "avx512vnni" => x86::avx512vnni(rounds),
                    _ => x86::amx(rounds / 16),
                }
            });
            fields.push(format!("\"{}_gops\": {gops:.0}", isa.name()));
        }
    }
    for (name, mib) in [("second_cache", 1), ("eight_mib", 8), ("memory", 1024)] {
        let data = vec![1u64; (mib * threads) << 17];
        let rounds = (64 / mib).max(1);
        let part = data.len() / threads;
        let gbs = rate(threads, (rounds * part * 8) as f64 / 1e9, |i| {
            for _ in 0..rounds {
                let sum = std::hint::black_box(&data[i * part..(i + 1) * part]).iter().fold(0u64, |a, &x| a ^ x);
                std::hint::black_box(sum);
            }
        });
        fields.push(format!("\"{name}_gbs\": {gbs:.1}"));
    }
    println!("{{{}}}", fields.join(", "));
}
