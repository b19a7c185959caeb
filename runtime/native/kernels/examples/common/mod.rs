//! What the examples share.
use std::time::Instant;

/// Seconds of the best run within 0.6 s.
pub fn best(mut f: impl FnMut()) -> f64 {
    let (mut best, begin) = (f64::MAX, Instant::now());
    while begin.elapsed().as_secs_f64() < 0.6 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64());
    }
    best
}
