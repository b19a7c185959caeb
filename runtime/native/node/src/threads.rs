//! Spreads tasks over the machine's cores.

use qc_solvers::Split;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope};

pub struct Threads;

impl Split for Threads {
    fn run(&self, n: usize, task: &(dyn Fn(usize) + Sync)) {
        let threads = available_parallelism().map_or(1, usize::from).min(n);
        let next = AtomicUsize::new(0);
        let work = || loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                break;
            }
            task(i);
        };
        scope(|s| {
            for _ in 1..threads {
                s.spawn(work);
            }
            work();
        });
    }
}
