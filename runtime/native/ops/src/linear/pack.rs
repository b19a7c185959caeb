//! Activations as the kernels read them: rows in tiles, in buffers that calls share.

use super::{Activations, Kernel};
use crate::api::{Context, Outcome};
use qc_kernels::*;
use std::sync::Mutex;

/// Codes from the beginning of a line of the cache on: rows of tile registers that lie across two lines take twice as long to load.
#[derive(Default)]
pub struct Lines(Vec<Line>);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; 64]);

impl Lines {
    /// At least `len` codes.
    fn resize(&mut self, len: usize) {
        self.0.resize(len.div_ceil(64), Line([0; 64]));
    }
    pub fn codes(&self) -> &[i8] {
        // SAFETY: a line is 64 codes without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), 64 * self.0.len()) }
    }
    fn codes_mut(&mut self) -> &mut [i8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), 64 * self.0.len()) }
    }
}

#[derive(Default)]
pub struct Buffers {
    pub codes: Lines,
    pub scales: Vec<f32>,
    pub zeros: Vec<i32>,
    pub starts: Vec<i32>,
    pub floats: Vec<f32>,
}

impl Kernel {
    /// Rows of floats in tiles; one row is one as it is.
    pub(super) fn pack_floats<'a>(&self, context: &Context, x: &'a [f32], to: &'a mut Vec<f32>) -> Outcome<&'a [f32]> {
        if x.len() == self.k {
            return Ok(x);
        }
        to.resize(x.len(), 0.0);
        let part = Tiling::BORDER * self.k;
        let parts: Vec<_> = to.chunks_mut(part).map(Mutex::new).collect();
        context.parallel(parts.len(), &|i| {
            let Ok(mut to) = parts[i].lock() else { return };
            let x = &x[i * part..x.len().min((i + 1) * part)];
            let mut at = 0;
            while at < x.len() {
                at += pack_floats(self.isa, &x[at..], self.k, &mut to[at..]) * self.k;
            }
        })?;
        drop(parts);
        Ok(to)
    }

    /// The sums of all columns by groups, found at the first call.
    pub(super) fn columns(&self, context: &Context, weight: &Weight, group: usize) -> Outcome<std::sync::Arc<Vec<i32>>> {
        let mut held = self.columns.lock().map_err(|_| "internal error: please report it")?;
        if let Some((of, columns)) = &*held {
            if *of == group {
                return Ok(columns.clone());
            }
        }
        let size = weight.depth() / group * COLUMNS;
        let mut sums = vec![0; weight.panels() * size];
        let parts: Vec<_> = sums.chunks_mut(size).map(Mutex::new).collect();
        context.parallel(parts.len(), &|panel| {
            if let Ok(mut to) = parts[panel].lock() {
                column_sums(self.isa, weight, group, panel, &mut to);
            }
        })?;
        drop(parts);
        let columns = std::sync::Arc::new(sums);
        *held = Some((group, columns.clone()));
        Ok(columns)
    }

    /// Fills the buffers with tiles of rows. Is one of the codes −128?
    #[allow(clippy::too_many_arguments)]
    pub(super) fn pack(&self, context: &Context, tiling: Tiling, group: usize, weight: &Weight, x: &Activations, rows: usize, to: &mut Buffers) -> Outcome<bool> {
        let factor = start_factor(self.isa, weight);
        let (depth, groups) = (weight.depth(), weight.depth() / group);
        let spans = if let Activations::Codes { spans, .. } = x { *spans } else { 1 };
        to.codes.resize(rows * depth);
        to.scales.resize(rows * spans, 0.0);
        to.starts.resize(rows * groups, 0);
        to.zeros.resize(rows * spans, 0);
        struct Part<'a> {
            row: usize,
            height: usize,
            tile: TileMut<'a>,
            zeros: &'a mut [i32],
        }
        let mut parts = vec![];
        let (mut codes, mut scales, mut starts, mut zeros) = (to.codes.codes_mut(), &mut to.scales[..], &mut to.starts[..], &mut to.zeros[..]);
        let mut row = 0;
        while row < rows {
            let height = tiling.height(rows - row);
            let tile = TileMut {
                codes: codes.split_off_mut(..height * depth).unwrap_or_default(),
                scales: scales.split_off_mut(..height * spans).unwrap_or_default(),
                starts: starts.split_off_mut(..height * groups).unwrap_or_default(),
            };
            parts.push(Mutex::new(Some(Part { row, height, tile, zeros: zeros.split_off_mut(..height * spans).unwrap_or_default() })));
            row += height;
        }
        let lowest = std::sync::atomic::AtomicBool::new(false);
        let each = |i: usize| {
            let Some(Part { row, height, tile, zeros }) = parts[i].lock().ok().and_then(|mut t| t.take()) else { return };
            let from = row * self.k..(row + height) * self.k;
            match x {
                Activations::Codes { codes, spans, scales, zeros: given } => {
                    for i in 0..height * spans {
                        let at = (row + i % height) * spans + i / height;
                        tile.scales[i] = if scales.len() == 1 { scales[0] } else { scales[at] };
                        zeros[i] = given.map_or(0, |z| if z.len() == 1 { z[0] } else { z[at] }).into();
                    }
                    if pack_rows(tiling, &codes[from], self.k, group, factor, tile) {
                        lowest.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                }
                Activations::Rows(x) | Activations::Float(x) => quantize_tile(tiling, &x[from], self.k, group, factor, tile),
            }
        };
        if parts.len() == 1 {
            each(0);
        } else {
            context.parallel(parts.len(), &each)?;
        }
        Ok(lowest.into_inner())
    }
}
