use qc_kernels::simd::{avx512vnni::Avx512Vnni as S, Simd};
use std::time::Instant;
#[repr(align(64))] struct A([u8; 65536]);
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn run<const R: usize>(w: &A, a: &A, st: &[i32], sc: &[f32], group: usize, acc: *mut f32, reps: usize, mode: usize) {
    for _ in 0..reps {
      for g in 0..512 / group {
        let mut sums = [S::same(0); R];
        if mode & 1 == 1 { for r in 0..R { sums[r] = S::same_as(st.as_ptr().add(g * R + r)); } }
        let s = S::products::<R, 0>(w.0.as_ptr().add(g * group * 32), a.0.as_ptr().add(g * group * R).cast(), group / 4, sums);
        let scales = S::load(sc.as_ptr().add(g * 32));
        if mode & 2 == 2 { for r in 0..R { let acc = acc.add(r * 32); S::store(S::fused(S::load(acc), S::to_floats(s[r]), scales), acc); } }
        else { for r in 0..R { S::store_ints(s[r], acc.add(r * 32).cast()); } }
      }
    }
}
fn time(name: &str, f: impl Fn(), ops: f64) {
    let mut best = f64::MAX;
    for _ in 0..30 { let t = Instant::now(); f(); best = best.min(t.elapsed().as_secs_f64()); }
    println!("{name} {:.0}", ops / best / 1e9);
}
fn main() { unsafe {
    let (w, a) = (A([3; 65536]), A([1; 65536]));
    let st = vec![5i32; 1000]; let sc = vec![0.5f32; 1000];
    for group in [512, 128, 32] { for mode in 0..4 {
        let mut o = vec![0f32; 2048];
        let p = o.as_mut_ptr();
        time(&format!("12 g{group} mode {mode}"), || run::<12>(&w, &a, &st, &sc, group, p, 5000, mode), 5000.0 * 12.0 * 64.0 * 512.0);
        time(&format!("6 g{group} mode {mode}"), || run::<6>(&w, &a, &st, &sc, group, p, 5000, mode), 5000.0 * 6.0 * 64.0 * 512.0);
    } }
} }
