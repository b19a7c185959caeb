//! Read-only ranges of files, mapped: their pages are the kernel's, not ours.

use memmap2::{Mmap, MmapOptions};
use qc_solvers::Fault;
use std::fs::File;

pub struct Mapped {
    map: Option<Mmap>,
}

impl Mapped {
    pub fn open(path: &str, at: f64, len: f64) -> Result<Mapped, Fault> {
        let unreadable = |why: String| Fault { code: "unreadable", message: format!("{path}: {why}") };
        let whole = |x: f64| x >= 0.0 && x.fract() == 0.0 && x < 2f64.powi(53);
        if !whole(at) || !whole(len) {
            return Err(unreadable(format!("no range {at} + {len}")));
        }
        let file = File::open(path).map_err(|e| unreadable(e.to_string()))?;
        let size = file.metadata().map_err(|e| unreadable(e.to_string()))?.len();
        if at as u64 + len as u64 > size {
            return Err(unreadable(format!("bytes {at} + {len} are past its end at {size}")));
        }
        if len == 0.0 {
            return Ok(Mapped { map: None });
        }
        // SAFETY: the map is read-only; whoever truncates a model file while it compiles loses this process.
        let map = unsafe { MmapOptions::new().offset(at as u64).len(len as usize).map(&file) }.map_err(|e| unreadable(e.to_string()))?;
        #[cfg(target_os = "linux")]
        {
            // Fills the page table in one go; kernels before 5.14 fault page by page instead.
            let _ = map.advise(memmap2::Advice::PopulateRead);
        }
        Ok(Mapped { map: Some(map) })
    }

    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
