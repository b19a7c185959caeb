//! A quantized activation at a port of an operator: floats, floats that the operator rounds to bytes itself, or int8 codes.

use crate::math::{code, LOW};

/// The elements of a port. `scale`: empty (floats as they are), one for all, or one for each position of the last axes. `low`: the lowest code under
/// each scale, counted from the zero point; empty: −128 (bytes around zero).
#[derive(Debug, Clone, Copy)]
pub struct Port<'a> {
    pub data: Data<'a>,
    pub scale: &'a [f32],
    pub low: &'a [f32],
}
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    Floats(&'a [f32]),
    Codes(&'a [i8]),
}

impl<'a> Port<'a> {
    pub fn floats(data: &'a [f32]) -> Self {
        Port { data: Data::Floats(data), scale: &[], low: &[] }
    }
    pub fn len(&self) -> usize {
        match self.data {
            Data::Floats(x) => x.len(),
            Data::Codes(x) => x.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Errors: not `rows` rows of `width` positions, scales that are not one or one a position, codes without a scale.
    pub fn check(&self, name: &str, rows: usize, width: usize) -> Result<(), String> {
        let want = rows.checked_mul(width).ok_or("sizes are too large")?;
        if self.len() != want {
            return Err(format!("{name} has {} elements, not {want}", self.len()));
        }
        let scales = self.scale.len();
        if scales > 1 && scales != width {
            return Err(format!("{name} has {scales} scales, not 1 or {width}"));
        }
        if !self.low.is_empty() && self.low.len() != scales {
            return Err(format!("{name} has {scales} scales and {} lowest codes", self.low.len()));
        }
        if scales == 0 && matches!(self.data, Data::Codes(_)) {
            return Err(format!("{name} is int8 and has no scale"));
        }
        Ok(())
    }

    /// What elements at … at + to.len() stand for; `position` is that of the first on the last axes.
    /// Safety: the port was checked, and the range lies in it.
    #[inline(always)]
    pub(crate) unsafe fn read(&self, at: usize, position: usize, to: &mut [f32]) {
        match self.data {
            Data::Floats(x) => to.copy_from_slice(x.get_unchecked(at..at + to.len())),
            Data::Codes(x) => {
                let x = x.get_unchecked(at..at + to.len());
                for (to, &q) in to.iter_mut().zip(x) {
                    *to = f32::from(q);
                }
            }
        }
        let rounds = matches!(self.data, Data::Floats(_));
        match *self.scale {
            [] => {}
            [s] => {
                let low = self.low.first().copied().unwrap_or(LOW);
                for v in to {
                    *v = if rounds { code(*v, s, low) * s } else { *v * s };
                }
            }
            _ => {
                let scale = self.scale.get_unchecked(position..position + to.len());
                if !rounds {
                    for (v, &s) in to.iter_mut().zip(scale) {
                        *v *= s;
                    }
                } else if self.low.is_empty() {
                    for (v, &s) in to.iter_mut().zip(scale) {
                        *v = code(*v, s, LOW) * s;
                    }
                } else {
                    let low = self.low.get_unchecked(position..position + to.len());
                    for ((v, &s), &low) in to.iter_mut().zip(scale).zip(low) {
                        *v = code(*v, s, low) * s;
                    }
                }
            }
        }
    }

    /// Asks the cache for the element at `at`, which may lie beyond the end.
    #[inline(always)]
    pub(crate) fn ahead(&self, at: usize) {
        match self.data {
            Data::Floats(x) => prefetch(x.as_ptr().wrapping_add(at)),
            Data::Codes(x) => prefetch(x.as_ptr().wrapping_add(at)),
        }
    }
}

/// Asks the cache for what is at an address; any address is allowed.
#[inline(always)]
fn prefetch<T>(_at: *const T) {
    // SAFETY: a prefetch reads nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(_at.cast());
    }
}
