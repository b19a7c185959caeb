//! Denormal numbers as zeros while ONNX Runtime works: exponentials of masked scores end there, and each costs a hundred cycles.

/// Sets the mode for this thread until it is dropped; threads that ONNX Runtime starts meanwhile inherit it.
pub struct Flushed {
    #[cfg(target_arch = "x86_64")]
    before: u32,
}

#[cfg(target_arch = "x86_64")]
impl Flushed {
    pub fn new() -> Flushed {
        let before = control();
        // Flush to zero (bit 15), denormals are zero (bit 6).
        set_control(before | 0x8040);
        Flushed { before }
    }
}
#[cfg(target_arch = "x86_64")]
impl Drop for Flushed {
    fn drop(&mut self) {
        set_control(self.before);
    }
}
#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut mxcsr = 0u32;
    // SAFETY: stores the register to the variable.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack, preserves_flags)) };
    mxcsr
}
#[cfg(target_arch = "x86_64")]
fn set_control(mxcsr: u32) {
    // SAFETY: only the two bits above are ever changed; no code of this crate in between depends on them.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &mxcsr, options(nostack, preserves_flags)) };
}

#[cfg(not(target_arch = "x86_64"))]
impl Flushed {
    pub fn new() -> Flushed {
        Flushed {}
    }
}
