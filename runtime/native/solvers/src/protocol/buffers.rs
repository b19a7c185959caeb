//! Inputs and outputs of a request: bytes as the numbers that they are.

use crate::fault::{Fault, Outcome};

pub fn unknown(what: &str, number: usize) -> Fault {
    Fault::request(format!("{what} {number} is unknown"))
}

pub fn check(holds: bool, rule: &str) -> Outcome<()> {
    if holds {
        Ok(())
    } else {
        Err(Fault::request(rule))
    }
}

pub fn input<'a>(inputs: &[&'a [u8]], i: usize) -> Outcome<&'a [u8]> {
    inputs.get(i).copied().ok_or_else(|| Fault::request("too few inputs"))
}

pub fn output<'a>(outputs: &'a mut [&mut [u8]], i: usize) -> Outcome<&'a mut [u8]> {
    outputs.get_mut(i).map(|o| &mut **o).ok_or_else(|| Fault::request("too few outputs"))
}

pub fn aligned<T>(whole: (&[u8], T, &[u8])) -> Outcome<T> {
    check(whole.0.is_empty() && whole.2.is_empty(), "numbers must be aligned to their size")?;
    Ok(whole.1)
}

// SAFETY of the four casts: every bit pattern is a float, and `align_to` keeps to alignment.
pub fn floats(bytes: &[u8]) -> Outcome<&[f32]> {
    aligned(unsafe { bytes.align_to() })
}
pub fn doubles_in(bytes: &[u8]) -> Outcome<&[f64]> {
    aligned(unsafe { bytes.align_to() })
}
pub fn floats_out(bytes: &mut [u8]) -> Outcome<&mut [f32]> {
    let (a, b, c) = unsafe { bytes.align_to_mut() };
    aligned((a, b, c))
}
pub fn doubles(bytes: &mut [u8]) -> Outcome<&mut [f64]> {
    let (a, b, c) = unsafe { bytes.align_to_mut() };
    aligned((a, b, c))
}
