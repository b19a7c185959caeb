//! Element types of tensors, and conversion between them. Floats round to nearest even; fp8, fp4 and e8m0 saturate;
//! floats to integers truncate and saturate; integers wrap, as ONNX Cast.

use crate::fault::{Fault, Outcome};
use crate::format::{Mini, E2M1, E4M3, E5M2};
use crate::layout::{get_bits, put_bits};
use crate::scale::e8m0;
use half::{bf16, f16};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F32,
    F64,
    F16,
    Bf16,
    Int { bits: u32, signed: bool },
    E4m3,
    E5m2,
    E2m1,
    E8m0,
    Bool,
}

impl Element {
    pub fn bits(self) -> usize {
        match self {
            Element::F64 => 64,
            Element::F32 => 32,
            Element::F16 | Element::Bf16 => 16,
            Element::Int { bits, .. } => bits as usize,
            Element::E4m3 | Element::E5m2 | Element::E8m0 | Element::Bool => 8,
            Element::E2m1 => 4,
        }
    }

    fn mini(self) -> Option<Mini> {
        match self {
            Element::E4m3 => Some(E4M3),
            Element::E5m2 => Some(E5M2),
            Element::E2m1 => Some(E2M1),
            _ => None,
        }
    }
}

/// A value on its way from one type to another.
#[derive(Clone, Copy)]
enum Number {
    Float(f64),
    Int(i128),
}

/// Bytes that `from_bytes` bytes of one type become. Sub-byte types are taken to fill their last byte.
pub fn cast_bytes(from_bytes: usize, from: Element, to: Element) -> Option<usize> {
    let elements = from_bytes.checked_mul(8)? / from.bits();
    Some(elements.checked_mul(to.bits())?.div_ceil(8))
}

pub fn cast(data: &[u8], from: Element, to: Element, out: &mut [u8]) -> Outcome<()> {
    if data.len() * 8 % from.bits() != 0 || cast_bytes(data.len(), from, to) != Some(out.len()) {
        return Err(Fault::request(format!("{} bytes of {from:?} into {} bytes of {to:?}", data.len(), out.len())));
    }
    match (from, to) {
        (a, b) if a == b => out.copy_from_slice(data),
        (Element::F16, Element::F32) => each(data, out, |b: [u8; 2]| f16::from_le_bytes(b).to_f32_const().to_le_bytes()),
        (Element::Bf16, Element::F32) => each(data, out, |b: [u8; 2]| bf16::from_le_bytes(b).to_f32().to_le_bytes()),
        (Element::F32, Element::F16) => each(data, out, |b: [u8; 4]| f16::from_f32_const(f32::from_le_bytes(b)).to_le_bytes()),
        (Element::F32, Element::Bf16) => each(data, out, |b: [u8; 4]| bf16::from_f32(f32::from_le_bytes(b)).to_le_bytes()),
        (Element::F64, Element::F32) => each(data, out, |b: [u8; 8]| (f64::from_le_bytes(b) as f32).to_le_bytes()),
        (Element::F32, Element::F64) => each(data, out, |b: [u8; 4]| f64::from(f32::from_le_bytes(b)).to_le_bytes()),
        _ => {
            out.fill(0);
            for i in 0..data.len() * 8 / from.bits() {
                write(to, out, i, read(from, data, i));
            }
        }
    }
    Ok(())
}

fn each<const A: usize, const B: usize>(data: &[u8], out: &mut [u8], f: impl Fn([u8; A]) -> [u8; B]) {
    for (from, to) in data.as_chunks::<A>().0.iter().zip(out.as_chunks_mut::<B>().0) {
        *to = f(*from);
    }
}

fn raw(bits: usize, data: &[u8], i: usize) -> u64 {
    if bits < 8 {
        return u64::from(get_bits(data, i * bits, bits as u32));
    }
    let n = bits / 8;
    data[i * n..(i + 1) * n].iter().rev().fold(0, |w, &b| w << 8 | u64::from(b))
}

fn read(t: Element, data: &[u8], i: usize) -> Number {
    let word = raw(t.bits(), data, i);
    match t {
        Element::F64 => Number::Float(f64::from_bits(word)),
        Element::F32 => Number::Float(f64::from(f32::from_bits(word as u32))),
        Element::F16 => Number::Float(f16::from_bits(word as u16).to_f64_const()),
        Element::Bf16 => Number::Float(bf16::from_bits(word as u16).to_f64()),
        Element::E8m0 if word == 255 => Number::Float(f64::NAN),
        Element::E8m0 => Number::Float(f64::from(e8m0(word as u8))),
        Element::Bool => Number::Int(i128::from(word != 0)),
        Element::Int { bits, signed } => {
            let negative = signed && word >> (bits - 1) & 1 == 1;
            Number::Int(i128::from(word) - if negative { 1i128 << bits } else { 0 })
        }
        Element::E4m3 | Element::E5m2 | Element::E2m1 => Number::Float(f64::from(t.mini().expect("a small float").decode(word as u32))),
    }
}

fn write(t: Element, out: &mut [u8], i: usize, value: Number) {
    let float = match value {
        Number::Float(x) => x,
        Number::Int(n) => n as f64,
    };
    let word = match t {
        Element::F64 => float.to_bits(),
        Element::F32 => u64::from(match value {
            Number::Float(x) => x as f32,
            Number::Int(n) => n as f32,
        }.to_bits()),
        Element::F16 => u64::from(f16::from_f64_const(float).to_bits()),
        Element::Bf16 => u64::from(bf16::from_f64(float).to_bits()),
        Element::Bool => u64::from(float != 0.0),
        Element::E8m0 => u64::from(e8m0_code(float)),
        Element::E4m3 | Element::E5m2 | Element::E2m1 => u64::from(mini_code(t.mini().expect("a small float"), float)),
        Element::Int { bits, signed } => match value {
            Number::Int(n) => n as u64,
            Number::Float(x) => {
                let (lo, hi) = if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
                (x as i128).clamp(lo, hi) as u64
            }
        },
    };
    let bits = t.bits();
    if bits < 8 {
        put_bits(out, i * bits, bits as u32, word as u32 & ((1 << bits) - 1));
    } else {
        out[i * bits / 8..(i + 1) * bits / 8].copy_from_slice(&word.to_le_bytes()[..bits / 8]);
    }
}

/// Nearest code, saturating; NaN stays NaN where the format has one, else becomes zero.
fn mini_code(f: Mini, x: f64) -> u32 {
    if x.is_nan() {
        return if f == E2M1 { 0 } else { 0x7f };
    }
    // To float32 rounding to odd, so that the second rounding sees what the first one lost.
    let near = x as f32;
    let inexact = near.is_finite() && f64::from(near) != x;
    let toward_zero = if inexact && f64::from(near).abs() > x.abs() { f32::from_bits(near.to_bits() - 1) } else { near };
    let odd = if inexact { f32::from_bits(toward_zero.to_bits() | 1) } else { near };
    f.encode(f.round(odd))
}

/// The exponent of the nearest power of two (ties up), saturating to 2^±127.
fn e8m0_code(x: f64) -> u8 {
    if x.is_nan() {
        return 255;
    }
    let bits = x.abs().to_bits();
    let exponent = (bits >> 52) as i64 - 1023 + i64::from(bits & ((1 << 52) - 1) >= 1 << 51);
    (exponent + 127).clamp(0, 254) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(v: &[f32]) -> Vec<u8> {
        v.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
    fn convert(data: &[u8], from: Element, to: Element) -> Vec<u8> {
        let mut out = vec![0xaa; cast_bytes(data.len(), from, to).unwrap()];
        cast(data, from, to, &mut out).unwrap();
        out
    }

    #[test]
    fn small_floats_round_trip() {
        for t in [Element::E4m3, Element::E5m2] {
            let codes: Vec<u8> = (0..=255).filter(|&c| t.mini().unwrap().decode(u32::from(c)).is_finite()).collect();
            let wide = convert(&codes, t, Element::F64);
            assert_eq!(convert(&wide, Element::F64, t), codes);
        }
        let codes: Vec<u8> = (0..=255).collect();
        assert_eq!(convert(&convert(&codes, Element::E2m1, Element::F32), Element::F32, Element::E2m1), codes);
    }

    #[test]
    fn halves_round_trip_and_ties_are_even() {
        let codes: Vec<u8> = (0..=0xffffu16).filter(|&c| !f16::from_bits(c).is_nan()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(convert(&convert(&codes, Element::F16, Element::F32), Element::F32, Element::F16), codes);
        let tie = f32s(&[1.0 + 2f32.powi(-11), 1.0 + 3.0 * 2f32.powi(-11)]);
        assert_eq!(convert(&tie, Element::F32, Element::F16), [0x00, 0x3c, 0x02, 0x3c]);
    }

    #[test]
    fn integers_pack_wrap_and_saturate() {
        let int4 = Element::Int { bits: 4, signed: true };
        let int8 = Element::Int { bits: 8, signed: true };
        assert_eq!(convert(&[0xf1, 0x78], int4, int8), [1, 255, 248, 7]);
        assert_eq!(convert(&[1, 255, 248, 7], int8, int4), [0xf1, 0x78]);
        assert_eq!(convert(&f32s(&[300.7, -300.0, -1.9, 1.9]), Element::F32, int8), [127, 128, 255, 1]);
        let i64s: Vec<u8> = [i64::MAX, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
        let u64t = Element::Int { bits: 64, signed: false };
        assert_eq!(convert(&i64s, Element::Int { bits: 64, signed: true }, u64t), i64s);
    }

    #[test]
    fn powers_of_two_and_nan() {
        assert_eq!(convert(&f32s(&[1.0, 0.25, f32::NAN]), Element::F32, Element::E8m0), [127, 125, 255]);
        assert_eq!(convert(&f32s(&[f32::NAN, f32::INFINITY, -1e9]), Element::F32, Element::E4m3), [0x7f, 0x7e, 0xfe]);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        assert!(cast(&[0; 3], Element::F32, Element::F16, &mut [0; 2]).is_err());
    }
}
