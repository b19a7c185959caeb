//! Orthogonal matrices.

use super::buffers::{check, doubles, doubles_in, floats, floats_out, input};
use super::numbers::Numbers;
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::spectral::{eigen, hadamard, orthonormal, range_norms, Lines};
use crate::split::Split;

/// Numbers: n. Input: the matrix. Outputs: values, vectors.
pub fn call_eigen(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let n = n.size()?;
    let [values, vectors] = outputs else { return Err(Fault::request("eigen: values and vectors")) };
    let (a, values, vectors) = (doubles_in(input(inputs, 0)?)?, doubles(values)?, doubles(vectors)?);
    let square = n.checked_mul(n);
    check(n > 0 && Some(a.len()) == square && values.len() == n && Some(vectors.len()) == square, "eigen: A and V [n, n], values [n]")?;
    eigen(isa, split, a, n, values, vectors)?;
    Ok(vec![])
}

/// Numbers: n. Input: rows. Output: the same, orthonormal.
pub fn call_orthonormal(isa: Isa, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let n = n.size()?;
    let [to] = outputs else { return Err(Fault::request("orthonormal: rows")) };
    let (from, to) = (doubles_in(input(inputs, 0)?)?, doubles(to)?);
    let sizes = n > 0 && from.len() == to.len() && from.len() % n == 0 && from.len() / n <= n;
    check(sizes && from.iter().all(|x| x.is_finite()), "orthonormal: at most n finite rows of n numbers")?;
    to.copy_from_slice(from);
    orthonormal(isa, to, n);
    Ok(vec![])
}

/// Numbers: n, p, weight. Input: rows. Output: the derivative. Gives the sum.
pub fn call_range_norms(split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let (n, p, weight) = (n.size()?, n.take()?, n.take()?);
    let [to] = outputs else { return Err(Fault::request("range norms: a derivative")) };
    let (y, to) = (floats(input(inputs, 0)?)?, floats_out(to)?);
    check(n > 0 && y.len() % n == 0 && to.len() == y.len() && (1.0..=1e3).contains(&p), "range norms: rows of n numbers, 1 ≤ p ≤ 1000")?;
    Ok(vec![range_norms(split, y, n, p, weight, to)])
}

/// Numbers: n, inner, from, to, size. Input: the small matrix [m, m]. Output, which is also read: x [outer, n, inner].
pub fn call_hadamard(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let lines = Lines { n: n.size()?, inner: n.size()?, from: n.size()?, to: n.size()?, size: n.size()? };
    let base = doubles_in(input(inputs, 0)?)?;
    let [x] = outputs else { return Err(Fault::request("hadamard: x")) };
    let x = doubles(x)?;
    let m = (base.len() as f64).sqrt().round() as usize;
    let order = m > 0 && m.checked_mul(m) == Some(base.len()) && lines.size % m == 0 && (lines.size / m).is_power_of_two();
    check(order, "hadamard: a matrix [m, m] and a size of 2^k·m")?;
    let whole = lines.n.checked_mul(lines.inner).is_some_and(|line| line > 0 && x.len() % line == 0);
    let inside = lines.from <= lines.to && lines.to <= lines.n && (lines.to - lines.from) % lines.size == 0;
    check(whole && inside, "hadamard: x [outer, n, inner] and whole blocks of the size within n")?;
    hadamard(isa, split, x, lines, base);
    Ok(vec![])
}
