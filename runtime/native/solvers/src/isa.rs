//! Instruction sets. A hot loop is written once, on eight lanes, and compiled for each set.

/// The instruction set that a call uses. `Scalar` is the compiler's baseline (SSE2, or simd128 in wasm).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Isa {
    /// The best set of this machine.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Isa {
        if std::arch::is_x86_feature_detected!("avx2") {
            Isa::Avx2
        } else {
            Isa::Scalar
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Isa {
        Isa::Scalar
    }

    /// The set called `name`, if this machine has it.
    pub fn named(name: &str) -> Option<Isa> {
        match name {
            "scalar" => Some(Isa::Scalar),
            #[cfg(target_arch = "x86_64")]
            "avx2" => (Isa::detect() == Isa::Avx2).then_some(Isa::Avx2),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
        }
    }
}

/// Defines `fn name(isa, …)` whose body is compiled once for each instruction set.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($gen:ident : $bound:path),*>)? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($gen: $bound),*>)? (isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body $(<$($gen: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2 $(<$($gen: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? {
                body($($arg),*)
            }

            match isa {
                $crate::isa::Isa::Scalar => body($($arg),*),
                // SAFETY: `Isa::Avx2` is only made where the machine has AVX2.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 => unsafe { avx2($($arg),*) },
            }
        }
    };
}
