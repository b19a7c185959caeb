//! The wasm module: memory from `reserve`, one `call`, results as a list of numbers or a message in memory.

use qc_solvers::{protocol, Isa, Sequential};
use std::alloc::{alloc_zeroed, dealloc, Layout};

/// Zeroed bytes aligned to 16; null when memory is out.
#[no_mangle]
pub extern "C" fn reserve(len: usize) -> *mut u8 {
    match Layout::from_size_align(len.max(1), 16) {
        // SAFETY: the layout has a size.
        Ok(layout) => unsafe { alloc_zeroed(layout) },
        Err(_) => std::ptr::null_mut(),
    }
}

/// Gives back what `reserve(len)` returned.
///
/// # Safety
/// `at` came from `reserve(len)` and was not released.
#[no_mangle]
pub unsafe extern "C" fn release(at: *mut u8, len: usize) {
    if let Ok(layout) = Layout::from_size_align(len.max(1), 16) {
        dealloc(at, layout);
    }
}

/// A buffer in our memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    at: *mut u8,
    len: usize,
}

/// What `call` writes: a list of float64 (`failed` 0) or the UTF-8 text `code: message` (1). Release `at` with `len` bytes.
#[repr(C)]
pub struct Answer {
    failed: u32,
    at: *mut u8,
    len: usize,
}

/// Performs an operation of the protocol.
///
/// # Safety
/// All pointers came from `reserve` with at least the stated room; outputs do not overlap anything.
#[no_mangle]
pub unsafe extern "C" fn call(op: u32, numbers: *const f64, n: usize, inputs: *const Buffer, n_in: usize, outputs: *const Buffer, n_out: usize, answer: *mut Answer) {
    let inputs: Vec<&[u8]> = std::slice::from_raw_parts(inputs, n_in).iter().map(|b| std::slice::from_raw_parts(b.at, b.len)).collect();
    let mut outputs: Vec<&mut [u8]> = std::slice::from_raw_parts(outputs, n_out).iter().map(|b| std::slice::from_raw_parts_mut(b.at, b.len)).collect();
    let numbers = std::slice::from_raw_parts(numbers, n);
    let (failed, bytes) = match protocol::call(Isa::Scalar, &Sequential, op, numbers, None, &inputs, &mut outputs) {
        Ok(values) => (0, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()),
        Err(fault) => (1, format!("{}: {}", fault.code, fault.message).into_bytes()),
    };
    let at = reserve(bytes.len());
    if !at.is_null() {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
    }
    *answer = Answer { failed, at, len: bytes.len() };
}
