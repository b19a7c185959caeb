//! Codes of fewer than eight bits as signed bytes.

use super::Panel;
use crate::layout::{Zeros, COLUMNS, DEPTH};
use crate::simd::amx::{each_four_times, stepped, widen_signed};

impl Panel<'_> {
    /// Byte codes of steps [from, from + depth): codes of fewer bits less their zero points, times their steps.
    #[inline(always)]
    pub(super) unsafe fn widened<const SIGNED: bool>(&self, from: usize, depth: usize) -> *const u8 {
        if !SIGNED {
            return self.w.codes.as_ptr().add(self.panel * self.w.panel() + from / DEPTH * self.w.cell());
        }
        match self.w.bits {
            2 => self.signed::<2>(from, depth),
            3 => self.signed::<3>(from, depth),
            4 => self.signed::<4>(from, depth),
            5 => self.signed::<5>(from, depth),
            6 => self.signed::<6>(from, depth),
            _ => self.signed::<7>(from, depth),
        }
    }

    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vnni")]
    unsafe fn signed<const CODES: u8>(&self, from: usize, depth: usize) -> *const u8 {
        let to = self.bytes;
        let codes = self.w.codes.as_ptr().add(self.panel * self.w.panel());
        let mut at = from;
        while at < from + depth {
            let group = at / self.w.group;
            let end = (from + depth).min((group + 1) * self.w.group);
            let index = (self.panel * self.w.groups() + group) * COLUMNS;
            let zeros = match self.w.zeros {
                Zeros::One(z) => each_four_times([z; COLUMNS].as_ptr()),
                Zeros::Each(z) => each_four_times(z.as_ptr().add(index)),
            };
            let steps = self.w.steps.map(|s| s.as_ptr().add(index));
            for cell in at / DEPTH..end / DEPTH {
                let to = to.add((cell - from / DEPTH) * 128);
                widen_signed::<CODES>(codes.add(cell * self.w.cell()), zeros, to);
                if let Some(steps) = steps {
                    stepped(to, each_four_times(steps));
                }
            }
            at = end;
        }
        to
    }
}
