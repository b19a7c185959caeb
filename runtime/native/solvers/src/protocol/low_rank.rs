//! Low-rank branches, and how far outputs are apart.

use super::buffers::{check, doubles, floats, floats_out, input, output, unknown};
use super::numbers::Numbers;
use crate::fault::{Fault, Outcome};
use crate::isa::Isa;
use crate::spectral::{low_rank, Found, Job, Space};
use crate::split::Split;
use crate::thin::{distance, minus_product};

/// Numbers: n, rank, power steps, float16, codes, space. Inputs: weight, start, codes, root, its inverse. Outputs: basis, down, up, rest.
pub fn call_low_rank(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let (width, rank, steps, half, coded, space) = (n.size()?, n.size()?, n.size()?, n.flag()?, n.flag()?, n.size()?);
    let (weight, start) = (floats(input(inputs, 0)?)?, floats(input(inputs, 1)?)?);
    let codes = if coded { Some(floats(input(inputs, 2)?)?) } else { None };
    let next = 2 + usize::from(coded);
    let space = match space {
        0 => Space::Plain,
        1 => Space::Diagonal(floats(input(inputs, next)?)?),
        2 => Space::Dense { root: floats(input(inputs, next)?)?, inverse: floats(input(inputs, next + 1)?)? },
        x => return Err(unknown("space of errors", x)),
    };
    let [basis, down, up, rest] = outputs else { return Err(Fault::request("low rank: basis, down, up and rest")) };
    let [basis, down, up, rest] = [floats_out(basis)?, floats_out(down)?, floats_out(up)?, floats_out(rest)?];
    let whole = |x: &[f32]| width > 0 && x.len() % width == 0;
    check(whole(weight) && whole(start) && basis.len() == start.len(), "low rank: W, start and basis have rows of n numbers")?;
    let (out, count) = (weight.len() / width, start.len() / width);
    check(rank > 0 && rank <= count && count <= width, "low rank: 0 < rank ≤ rows of the start ≤ n")?;
    check(steps <= 1000 && start.iter().all(|x| x.is_finite()), "low rank: at most 1000 power steps from a finite start")?;
    let sizes = down.len() == rank * width && Some(up.len()) == out.checked_mul(rank) && rest.len() == weight.len();
    check(sizes && codes.is_none_or(|q| q.len() == weight.len()), "low rank: codes and rest [out, n], down [rank, n], up [out, rank]")?;
    let square = width.checked_mul(width);
    let inside = match space {
        Space::Plain => true,
        Space::Diagonal(root) => root.len() == width,
        Space::Dense { root, inverse } => Some(root.len()) == square && Some(inverse.len()) == square,
    };
    check(inside, "low rank: a diagonal space has n numbers, a dense one two matrices [n, n]")?;
    let job = Job { weight, codes, n: width, start, rank, steps, half, space };
    low_rank(isa, split, &job, &mut Found { basis, down, up, rest })?;
    Ok(vec![])
}

/// Numbers: n. Inputs: A, B [outputs, n], X, Y [count, n]. Gives ‖A Xᵀ − B Yᵀ‖².
pub fn call_distance(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]]) -> Outcome<Vec<f64>> {
    let n = n.size()?;
    let [a, b, x, y] = inputs else { return Err(Fault::request("distance: A, B, X and Y")) };
    let [a, b, x, y] = [floats(a)?, floats(b)?, floats(x)?, floats(y)?];
    let sizes = n > 0 && a.len() % n == 0 && a.len() == b.len() && x.len() % n == 0 && x.len() == y.len();
    check(sizes, "distance: A, B [outputs, n], X, Y [count, n]")?;
    Ok(vec![distance(isa, split, [a, b], [x, y], n)])
}

/// Numbers: columns. Inputs: left [rows, rank], right [rank, columns]. Output, which is also read: x [rows, columns], less their product.
pub fn call_minus_product(isa: Isa, split: &dyn Split, n: &mut Numbers, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Outcome<Vec<f64>> {
    let columns = n.size()?;
    let (left, right, x) = (floats(input(inputs, 0)?)?, floats(input(inputs, 1)?)?, doubles(output(outputs, 0)?)?);
    check(columns > 0 && right.len() % columns == 0 && x.len() % columns == 0, "minus product: rows of as many columns")?;
    let sizes = Some(left.len()) == (x.len() / columns).checked_mul(right.len() / columns);
    check(sizes, "minus product: left [rows, rank], right [rank, columns]")?;
    minus_product(isa, split, x, left, right, columns);
    Ok(vec![])
}
