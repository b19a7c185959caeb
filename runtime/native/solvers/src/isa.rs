//! Instruction sets. A hot loop is written once, on eight lanes, and compiled for each set.

/// The instruction set that a call uses. `Scalar` is the compiler's baseline (SSE2, or simd128 in wasm).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    Scalar,
    /// With FMA, which is used only where a product is exact, so that no bit depends on it.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best set of this machine.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Isa {
        [Isa::Avx512, Isa::Avx2].into_iter().find(|isa| isa.is_here()).unwrap_or(Isa::Scalar)
    }
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Isa {
        Isa::Scalar
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = || has!("avx2") && has!("fma");
        match self {
            Isa::Scalar => true,
            Isa::Avx2 => avx2(),
            Isa::Avx512 => avx2() && has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq"),
        }
    }

    /// The set called `name`, if this machine has it.
    pub fn named(name: &str) -> Option<Isa> {
        match name {
            "scalar" => Some(Isa::Scalar),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Isa::Avx2.is_here().then_some(Isa::Avx2),
            #[cfg(target_arch = "x86_64")]
            "avx512" => Isa::Avx512.is_here().then_some(Isa::Avx512),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
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

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw,avx512dq")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512 $(<$($gen: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? {
                body($($arg),*)
            }

            match isa {
                $crate::isa::Isa::Scalar => body($($arg),*),
                // SAFETY: these are only made where the machine has them.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
