//! The weight that codes stand for: ŵ = (q − z)·s, float32 [out, reduce].

use crate::fault::{Fault, Outcome};
use crate::format::{int_value, Format};
use crate::layout::{get_bits, Geometry};
use crate::scale::ScaleType;
use crate::split::{Shared, Split};

pub struct Coded<'a> {
    pub geometry: Geometry,
    pub format: Format,
    pub scale: ScaleType,
    pub codes: &'a [u8],
    pub scales: &'a [u8],
    pub zeros: Option<&'a [u8]>,
    /// Steps of the rows and their type, over scales that are integers.
    pub rows: Option<(ScaleType, &'a [u8])>,
}

/// Rows that one task decodes.
const ROWS: usize = 16;

pub fn dequantize(split: &dyn Split, coded: Coded, to: &mut [f32]) -> Outcome<()> {
    let g = coded.geometry.check()?;
    let elements = g.out.checked_mul(g.reduce).filter(|&n| n > 0 && n == to.len());
    elements.ok_or_else(|| Fault::request(format!("{} × {} values into room for {}", g.out, g.reduce, to.len())))?;
    let zeros = coded.zeros.map_or(g.zero_bytes(), <[u8]>::len);
    if coded.codes.len() != g.code_bytes() || coded.scales.len() != g.scale_count() * coded.scale.size() || zeros != g.zero_bytes() {
        return Err(Fault::request("codes, scales or zero points of another size than their layout's"));
    }
    let (patch_rows, patch_cols) = g.patch();
    let (rows, cols) = g.table();
    let size = coded.scale.size();
    let steps: Vec<f32> = (0..rows * cols)
        .map(|i| coded.scale.read(&coded.scales[g.scale_place(i / cols, i % cols) * size..]))
        .collect();
    let zeros: Option<Vec<f32>> = coded.zeros.map(|z| g.read_zeros(z).into_iter().map(|c| value(&coded, c)).collect());
    let table: Vec<f32> = if g.stored_bits() <= 8 { (0..1 << g.stored_bits()).map(|c| value(&coded, c)).collect() } else { Vec::new() };
    if coded.rows.is_some_and(|(kind, bytes)| bytes.len() != g.out * kind.size()) {
        return Err(Fault::request("steps of rows of another number than the rows"));
    }
    let over = |n: usize| coded.rows.map_or(1.0, |(kind, bytes)| kind.read(&bytes[n * kind.size()..]));
    let to = Shared::new(to);
    split.run(g.out.div_ceil(ROWS), &|task| {
        let rows = task * ROWS..((task + 1) * ROWS).min(g.out);
        // SAFETY: each task writes rows of its own.
        let part = unsafe { to.at(rows.start * g.reduce, rows.len() * g.reduce) };
        for k in (0..g.reduce).step_by(64) {
            for n in rows.clone() {
                let line = &mut part[(n - rows.start) * g.reduce..(n - rows.start + 1) * g.reduce];
                let over = over(n);
                for k in k..(k + 64).min(g.reduce) {
                    let code = get_bits(coded.codes, g.code_bit(n, k), g.stored_bits());
                    let q = if table.is_empty() { value(&coded, code) } else { table[code as usize] };
                    let cell = n / patch_rows * cols + k / patch_cols;
                    line[k] = (q - zeros.as_ref().map_or(0.0, |z| z[cell])) * steps[cell] * over;
                }
            }
        }
    });
    Ok(())
}

/// What a stored code means before zero point and scale.
fn value(coded: &Coded, code: u32) -> f32 {
    let g = &coded.geometry;
    match coded.format {
        Format::Float(f) => f.decode(code),
        Format::Int(_) if g.offset() != 0 => code as f32 - g.offset() as f32,
        Format::Int(f) => int_value(code, g.stored_bits(), f.signed),
    }
}
