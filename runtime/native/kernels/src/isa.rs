//! The list of instruction sets. It drives dispatch, tests and benchmarks: a new one is a line here and a file in `simd/`.

/// Defines [`Isa`] from one list: variant, name, rows that one pass over a weight may serve, where it exists, the features that it needs.
macro_rules! instruction_sets {
    ($($variant:ident $name:literal rows $rows:expr $(, if $arch:tt by $detected:ident has [$($feature:tt)*] $(and $check:path)?)?;)*) => {
        /// The instruction set that a call uses; best last. `Scalar` is the compiler's baseline.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Isa { $($(#[cfg(target_arch = $arch)])? $variant,)* }

        impl Isa {
            /// Every set that this build knows, whether or not the machine has it.
            pub const ALL: &'static [Isa] = &[$($(#[cfg(target_arch = $arch)])? Isa::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $($(#[cfg(target_arch = $arch)])? Isa::$variant => $name,)* }
            }

            /// Does this machine have it?
            pub fn available(self) -> bool {
                match self { $($(#[cfg(target_arch = $arch)])? Isa::$variant => true $($(&& std::arch::$detected!($feature))* $(&& $check())?)?,)* }
            }

            /// Numbers of rows that one pass over a weight may serve, descending to 1.
            pub(crate) fn heights(self) -> &'static [usize] {
                match self { $($(#[cfg(target_arch = $arch)])? Isa::$variant => &$rows,)* }
            }
        }
    };
}

instruction_sets! {
    Scalar "scalar" rows [1];
    Neon "neon" rows [2, 1], if "aarch64" by is_aarch64_feature_detected has ["neon" "dotprod"];
    Avx2 "avx2" rows [2, 1], if "x86_64" by is_x86_feature_detected has ["avx2" "fma" "f16c"];
    AvxVnni "avxvnni" rows [2, 1], if "x86_64" by is_x86_feature_detected has ["avx2" "fma" "f16c" "avxvnni"];
    Avx512Vnni "avx512vnni" rows [12, 8, 4, 2, 1], if "x86_64" by is_x86_feature_detected has ["avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512vnni"];
    Amx "amx" rows [32, 16, 12, 8, 4, 2, 1], if "x86_64" by is_x86_feature_detected has ["avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512vnni"] and crate::simd::amx::available;
}

impl Isa {
    /// The best set of this machine.
    pub fn detect() -> Isa {
        Isa::ALL.iter().rev().copied().find(|i| i.available()).unwrap_or(Isa::Scalar)
    }

    /// The set that runs where tile registers are of no use.
    pub fn below_tiles(self) -> Isa {
        #[cfg(target_arch = "x86_64")]
        if self == Isa::Amx {
            return Isa::Avx512Vnni;
        }
        self
    }

    /// The set called `name`. Errors: a name that there is not, a set that this machine has not.
    pub fn named(name: &str) -> Result<Isa, String> {
        let known = || Isa::ALL.iter().map(|i| i.name()).collect::<Vec<_>>().join(", ");
        let isa = Isa::ALL.iter().copied().find(|i| i.name() == name).ok_or_else(|| format!("there is no instruction set {name}; known: {}", known()))?;
        isa.available().then_some(isa).ok_or_else(|| format!("this machine has no {name}"))
    }
}

/// Defines `unsafe fn name(isa, …)` that calls `body::<S>` compiled with the features of the set.
/// Safety: the machine has `isa` (as one from [`Isa::detect`] or [`Isa::named`] is), and what `body` asks for.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        $vis unsafe fn $name(isa: $crate::Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $ty),*) {
                $body::<$crate::simd::avx2::Avx2>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
            unsafe fn avxvnni($($arg: $ty),*) {
                $body::<$crate::simd::avxvnni::AvxVnni>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
            unsafe fn avx512vnni($($arg: $ty),*) {
                $body::<$crate::simd::avx512vnni::Avx512Vnni>($($arg),*)
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon,dotprod")]
            unsafe fn neon($($arg: $ty),*) {
                $body::<$crate::simd::neon::Neon>($($arg),*)
            }
            match isa {
                #[cfg(target_arch = "aarch64")]
                $crate::Isa::Neon => neon($($arg),*),
                $crate::Isa::Scalar => $body::<$crate::simd::scalar::Scalar>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx2 => avx2($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::AvxVnni => avxvnni($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx512Vnni | $crate::Isa::Amx => avx512vnni($($arg),*),
            }
        }
    };
}
pub(crate) use dispatch;
