//! Read-only ranges of files, mapped: their pages are the kernel's, not ours.

use memmap2::{Mmap, MmapOptions};
use qc_solvers::{Backing, Fault};
use std::fs::File;

pub struct Mapped {
    path: String,
    file: File,
    at: u64,
    map: Option<Mmap>,
}

impl Mapped {
    pub fn open(path: &str, at: f64, len: f64) -> Result<Mapped, Fault> {
        let whole = |x: f64| x >= 0.0 && x.fract() == 0.0 && x < 2f64.powi(53);
        if !whole(at) || !whole(len) {
            return Err(unreadable(path, format!("no range {at} + {len}")));
        }
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        let size = file.metadata().map_err(|e| unreadable(path, e))?.len();
        if at as u64 + len as u64 > size {
            return Err(unreadable(path, format!("bytes {at} + {len} are past its end at {size}")));
        }
        let map = if len == 0.0 {
            None
        } else {
            // SAFETY: the map is read-only; whoever truncates a model file while it compiles loses this process.
            Some(unsafe { MmapOptions::new().offset(at as u64).len(len as usize).map(&file) }.map_err(|e| unreadable(path, e))?)
        };
        Ok(Mapped { path: path.into(), file, at: at as u64, map })
    }

    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

impl Backing for Mapped {
    fn read(&self, at: usize, to: &mut [u8]) -> Result<(), Fault> {
        #[cfg(unix)]
        {
            std::os::unix::fs::FileExt::read_exact_at(&self.file, to, self.at + at as u64).map_err(|e| unreadable(&self.path, e))
        }
        #[cfg(not(unix))]
        {
            to.copy_from_slice(&self.bytes()[at..at + to.len()]);
            Ok(())
        }
    }

    fn populate(&self) {
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map {
            // Fills the page table in one go; kernels before 5.14 fault page by page instead.
            let _ = map.advise(memmap2::Advice::PopulateRead);
        }
    }
}

fn unreadable(path: &str, why: impl std::fmt::Display) -> Fault {
    Fault { code: "unreadable", message: format!("{path}: {why}") }
}
