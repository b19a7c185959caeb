//! Weights to codes, scales and zero points: the fit of a group and its encoding happen while its tile is in cache.

use crate::fault::{Fault, Outcome};
use crate::fit::{self, extent, fit, Extent, Fitted, Law, Target, Unit};
use crate::format::{integer, mask, round_half_up, Format, Grid, Int, IntGrid};
use crate::hash::Pieces;
use crate::isa::Isa;
use crate::lanes::F8;
use crate::layout::{pack8, put_bits, transpose8, Geometry, Grain, Layout};
use crate::matrix::{Matrix, Order};
use crate::scale::ScaleType;
use crate::slabs::{each_slab, lines_of};
use crate::split::{Shared, Split};
use std::ops::Range;
use std::sync::Mutex;

pub struct Job<'a> {
    pub weight: Matrix<'a>,
    pub target: Target,
    pub grain: Grain,
    pub layout: Layout,
    pub importance: Option<&'a [f32]>,
    /// Scales and zero points from outside, in plain order.
    pub scales: Option<&'a [f32]>,
    pub zeros: Option<&'a [f32]>,
}

/// Zeroed buffers of the sizes that [`Geometry`] gives.
pub struct Output<'a> {
    pub codes: &'a mut [u8],
    pub scales: &'a mut [u8],
    pub zeros: Option<&'a mut [u8]>,
    /// BLAKE3 of the weight's bytes, taken on the way.
    pub digest: Option<&'a mut [u8]>,
}

/// Σ(w − ŵ)², Σw², and the tensor's scale of `nv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub error: f64,
    pub energy: f64,
    pub global: f32,
}

/// Columns of a tile where the scale does not ask for whole rows.
const SEGMENT: usize = 1024;
/// Lanes of tiles that are gathered together: 256 KiB, half of an L2 cache.
const BAND: usize = 8192;

pub fn quantize(isa: Isa, split: &dyn Split, job: Job, output: Output) -> Outcome<Summary> {
    let run = Run::new(isa, split, job)?;
    run.check_output(&output)?;
    let (rows, cols) = run.geometry.table();
    let mut steps = vec![1.0f32; rows * cols];
    let mut zeros = vec![0.0f32; rows * cols];
    let fitted_early = run.known_scales(&mut steps, &mut zeros)?;
    let pieces = output.digest.is_some().then(|| Pieces::new(run.weight.input().bytes.len()));
    let (error, energy) = run.encode(&mut steps, &mut zeros, fitted_early, output.codes, pieces.as_ref())?;
    if let Some((to, pieces)) = output.digest.zip(pieces) {
        to.copy_from_slice(&pieces.finish(run.weight.input())?);
    }
    let size = run.target.scale.size();
    for row in 0..rows {
        for col in 0..cols {
            let at = run.geometry.scale_place(row, col) * size;
            run.target.scale.write(steps[row * cols + col], &mut output.scales[at..at + size]);
        }
    }
    if let Some(to) = output.zeros {
        run.geometry.write_zeros(&zeros, to);
    }
    Ok(Summary { error, energy, global: if let ScaleType::Nv { global } = run.target.scale { global } else { 1.0 } })
}

struct Run<'a> {
    isa: Isa,
    split: &'a dyn Split,
    weight: Matrix<'a>,
    target: Target,
    geometry: Geometry,
    importance: Option<&'a [f32]>,
    scales: Option<&'a [f32]>,
    zeros: Option<&'a [f32]>,
}

impl<'a> Run<'a> {
    fn new(isa: Isa, split: &'a dyn Split, job: Job<'a>) -> Outcome<Self> {
        let Job { weight, mut target, grain, layout, importance, scales, zeros } = job;
        let (signed, float) = match target.format {
            Format::Int(f) => (f.signed, false),
            Format::Float(_) => (true, true),
        };
        let geometry =
            Geometry { out: weight.out, reduce: weight.reduce, order: weight.order, layout, grain, bits: target.format.bits(), signed, float }.check()?;
        let wrong = |what: &str, got: usize, want: usize| Fault::request(format!("{got} {what} where {want} are needed"));
        if let Some(i) = importance.filter(|i| i.len() != weight.reduce) {
            return Err(wrong("importances", i.len(), weight.reduce));
        }
        for (what, given) in [("scales", scales), ("zero points", zeros)] {
            if let Some(g) = given.filter(|g| g.len() != geometry.scale_count()) {
                return Err(wrong(what, g.len(), geometry.scale_count()));
            }
        }
        if float && !target.symmetric {
            target.symmetric = true;
        }
        if matches!(target.law, Law::Hqq { .. }) && target.symmetric && scales.is_none() {
            return Err(Fault::new("bad-law", "the law hqq refits a zero point: it needs an asymmetric integer format"));
        }
        let mut run = Run { isa, split, weight, target, geometry, importance, scales, zeros };
        if matches!(run.target.scale, ScaleType::Nv { .. }) {
            run.target.scale = ScaleType::Nv { global: run.nv_global()? };
        }
        Ok(run)
    }

    fn check_output(&self, output: &Output) -> Outcome<()> {
        let g = &self.geometry;
        let sizes = [
            ("codes", output.codes.len(), g.code_bytes()),
            ("scales", output.scales.len(), g.scale_count() * self.target.scale.size()),
            ("zeros", output.zeros.as_ref().map_or(g.zero_bytes(), |z| z.len()), g.zero_bytes()),
            ("a digest", output.digest.as_ref().map_or(32, |d| d.len()), 32),
        ];
        match sizes.iter().find(|(_, got, want)| got != want) {
            Some((what, got, want)) => Err(Fault::request(format!("{got} bytes for {what} where {want} are needed"))),
            None => Ok(()),
        }
    }

    /// The float32 scale over e4m3 block scales: the largest block scale becomes 448.
    fn nv_global(&self) -> Outcome<f32> {
        let largest = match self.scales {
            Some(scales) => scales.iter().fold(0.0f32, |a, s| a.max(s.abs())),
            None => self.extent_of_all()?.joint().absmax().0[0] / self.target.format.top(),
        };
        let global = largest / 448.0;
        Ok(if global >= f32::MIN_POSITIVE && global.is_finite() { global } else { 1.0 })
    }

    /// Steps and zero points that do not come from the rows themselves: given, of the whole tensor, of blocks.
    fn known_scales(&self, steps: &mut [f32], zeros: &mut [f32]) -> Outcome<bool> {
        if let Some(given) = self.scales {
            for (step, &s) in steps.iter_mut().zip(given) {
                if !s.is_finite() || s == 0.0 {
                    return Err(Fault::new("bad-scale", format!("a given scale is {s}")));
                }
                *step = self.target.scale.round(s);
            }
            if let (Some(given), Format::Int(f)) = (self.zeros, self.target.format) {
                for (zero, &z) in zeros.iter_mut().zip(given) {
                    *zero = z.round_ties_even().clamp(f.lo, f.hi);
                }
            }
            return Ok(true);
        }
        match self.geometry.grain {
            Grain::Tensor => {
                let fitted = fit::from_extent(&self.target, self.extent_of_all()?.joint()).unwrap_or_else(|| self.fit_patch(0, 0));
                (steps[0], zeros[0]) = (fitted.step.0[0], fitted.zero.0[0]);
                Ok(true)
            }
            Grain::Block { .. } => {
                let (steps, zeros) = (Shared::new(steps), Shared::new(zeros));
                let (rows, cols) = self.geometry.table();
                self.split.run(rows, &|row| {
                    for col in 0..cols {
                        let fitted = self.fit_patch(row, col);
                        // SAFETY: each task writes the cells of one table row.
                        unsafe {
                            steps.at(row * cols + col, 1)[0] = fitted.step.0[0];
                            zeros.at(row * cols + col, 1)[0] = fitted.zero.0[0];
                        }
                    }
                });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Extremes of the whole matrix, in eight lanes.
    fn extent_of_all(&self) -> Outcome<Extent> {
        let all = Mutex::new(Extent::NONE);
        self.each_band(SEGMENT.min(self.weight.reduce), SEGMENT.min(self.weight.reduce), None, |band| {
            let found = extent(self.isa, band.tile, false);
            let mut all = all.lock().expect("no panics while locked");
            *all = all.join(found);
        })?;
        Ok(all.into_inner().expect("no panics while locked"))
    }

    /// Fits one scale to a patch of several rows, gathered whole.
    fn fit_patch(&self, row: usize, col: usize) -> Fitted {
        let (rows, cols) = self.geometry.patch();
        let (n0, k0) = (row * rows, col * cols);
        let (height, width) = (rows.min(self.weight.out - n0), cols.min(self.weight.reduce - k0));
        let blocks = height.div_ceil(8);
        let mut tile = vec![F8::splat(0.0); blocks * width];
        self.weight.gather(n0, blocks, k0, width, width, &mut tile, width);
        let past = 8 * blocks - height;
        for t in &mut tile[(blocks - 1) * width..] {
            t.0[8 - past..].fill(0.0);
        }
        let importance = self.importance.map(|i| i[k0..k0 + width].repeat(blocks));
        let unit = Unit { tile: &tile, importance: importance.as_deref(), joint: true, count: height * width };
        fit(self.isa, &self.target, &unit)
    }

    /// Calls `f` with every tile of eight rows by `segment` columns (padded with zeros to `padded`):
    /// slab by slab, or, where a segment is too long for that, columns of bands.
    fn each_band(&self, segment: usize, padded: usize, pieces: Option<&Pieces>, f: impl Fn(Band) + Sync) -> Outcome<()> {
        let unit = if self.weight.order == Order::ReduceOut { segment } else { 8 };
        if let Some(step) = lines_of(&self.weight, unit) {
            return each_slab(self.split, &self.weight, step, pieces, &|slab| {
                self.bands(&slab.matrix, slab.origin, 0..slab.matrix.out, segment, padded, &f);
            });
        }
        let input = self.weight.input();
        if let Some(file) = input.file {
            file.populate();
        }
        if let Some(p) = pieces {
            p.take_all(self.split, input)?;
        }
        let rows = 8 * self.blocks(padded);
        let per_task = rows * self.weight.out.div_ceil(rows).div_ceil(64);
        self.split.run(self.weight.out.div_ceil(per_task), &|task| {
            let own = task * per_task..((task + 1) * per_task).min(self.weight.out);
            self.bands(&self.weight, (0, 0), own, segment, padded, &f);
        });
        Ok(())
    }

    /// Tiles that are gathered together.
    fn blocks(&self, padded: usize) -> usize {
        match self.weight.order {
            Order::ReduceOut => (BAND / (padded + 2)).clamp(2, 32),
            Order::OutReduce => 1,
        }
    }

    /// The bands of some rows of `part`, which begins at `origin` of the weight.
    fn bands(&self, part: &Matrix, origin: (usize, usize), rows: Range<usize>, segment: usize, padded: usize, f: &(impl Fn(Band) + Sync)) {
        let (stride, blocks) = (padded + 2, self.blocks(padded));
        TILES.with_borrow_mut(|tiles| {
            tiles.resize(tiles.len().max(blocks * stride), F8::splat(0.0));
            for n0 in rows.clone().step_by(8 * blocks) {
                let filled = blocks.min((rows.end - n0).div_ceil(8));
                for k0 in (0..part.reduce).step_by(segment) {
                    let len = segment.min(part.reduce - k0);
                    let padded = if self.geometry.layout == Layout::NBits { padded } else { len };
                    part.gather(n0, filled, k0, len, padded, tiles, stride);
                    for b in 0..filled {
                        let n = n0 + 8 * b;
                        let own = origin.0 + n..origin.0 + (n + 8).min(part.out);
                        f(Band { rows: own, k0: origin.1 + k0, len, tile: &tiles[b * stride..b * stride + padded] });
                    }
                }
            }
        });
    }

    /// Fits what is not fitted yet, and writes all codes. Returns Σ(w − ŵ)² and Σw².
    fn encode(&self, steps: &mut [f32], zeros: &mut [f32], known: bool, codes: &mut [u8], pieces: Option<&Pieces>) -> Outcome<(f64, f64)> {
        let cols = self.geometry.patch().1;
        let segment = if known && cols > SEGMENT && self.geometry.layout != Layout::NBits { SEGMENT } else { cols };
        // Where a patch is wider than a segment, segments are cut so that they do not cross patches.
        let segment = if cols % segment == 0 || cols >= self.weight.reduce { segment } else { cols };
        let bad: Mutex<Option<(usize, usize)>> = Mutex::new(None);
        let aligned = self.geometry.byte_aligned(segment);
        let wide = Geometry { layout: Layout::Plain, bits: 8, ..self.geometry };
        let mut spare = if aligned { Vec::new() } else { vec![0u8; wide.code_bytes()] };
        let segment = segment.min(self.geometry.columns());
        let across = self.weight.reduce.div_ceil(segment);
        // Of each tile, so that the order of the sums is the same whatever the slabs.
        let mut sums = vec![(0.0f64, 0.0f64); self.weight.out.div_ceil(8) * across];
        {
            let writer = Writer::new(if aligned { self.geometry } else { wide }, if aligned { &mut *codes } else { &mut spare });
            let (steps, zeros, sums) = (Shared::new(steps), Shared::new(zeros), Shared::new(&mut sums));
            self.each_band(segment.min(self.weight.reduce), segment, pieces, |band| {
                let fitted = self.fitted(&band, known, &steps, &zeros);
                let (error, energy, finite) = self.encode_band(&band, fitted, &writer);
                // SAFETY: a tile belongs to one task.
                unsafe { sums.at(band.rows.start / 8 * across + band.k0 / segment, 1)[0] = (error, energy) };
                if !finite {
                    let mut bad = bad.lock().expect("no panics while locked");
                    *bad = bad.into_iter().chain(band.first_bad()).min();
                }
            })?;
        }
        if let Some((n, k)) = bad.into_inner().expect("no panics while locked") {
            return Err(Fault::new("nan-weight", format!("the weight of output {n}, input {k} is NaN or infinite")));
        }
        if !aligned {
            let bits = self.geometry.stored_bits();
            for n in 0..self.weight.out {
                for k in 0..self.weight.reduce {
                    let code = u32::from(spare[n * self.weight.reduce + k]) & mask(bits);
                    put_bits(codes, self.geometry.code_bit(n, k), bits, code);
                }
            }
        }
        let add = |a: (f64, f64), b: &(f64, f64)| (a.0 + b.0, a.1 + b.1);
        Ok(sums.chunks(across).map(|row| row.iter().fold((0.0, 0.0), add)).fold((0.0, 0.0), |a, row| add(a, &row)))
    }

    /// The steps of a band's eight rows: fitted now, or looked up.
    fn fitted(&self, band: &Band, known: bool, steps: &Shared<f32>, zeros: &Shared<f32>) -> Fitted {
        let (rows, cols) = self.geometry.patch();
        let table = self.geometry.table().1;
        let cell = |n: usize| n / rows * table + band.k0 / cols;
        let mut fitted = Fitted { step: F8::splat(1.0), zero: F8::splat(0.0) };
        if known {
            for (lane, n) in band.rows.clone().enumerate() {
                // SAFETY: all steps are known: nobody writes.
                (fitted.step.0[lane], fitted.zero.0[lane]) = unsafe { (steps.get(cell(n)), zeros.get(cell(n))) };
            }
            return fitted;
        }
        let importance = self.importance.map(|i| &i[band.k0..band.k0 + band.len]);
        let unit = Unit { tile: &band.tile[..band.len], importance, joint: false, count: band.len };
        fitted = fit(self.isa, &self.target, &unit);
        for (lane, n) in band.rows.clone().enumerate() {
            // SAFETY: a cell belongs to one row, and a row to one task.
            unsafe {
                steps.at(cell(n), 1)[0] = fitted.step.0[lane];
                zeros.at(cell(n), 1)[0] = fitted.zero.0[lane];
            }
        }
        fitted
    }

    fn encode_band(&self, band: &Band, fitted: Fitted, writer: &Writer) -> (f64, f64, bool) {
        let offset = writer.geometry.offset();
        let sums = match self.target.format {
            Format::Int(f) if f.bits > 8 => {
                let mut codes = vec![[0u16; 8]; band.tile.len()];
                let grid = self.target.grid(f, fitted);
                let sums = encode_tile(self.isa, grid, band.tile, fitted, &mut codes);
                writer.write_wide(band, &codes);
                sums
            }
            format => CODES.with_borrow_mut(|codes| {
                codes.resize(band.tile.len(), [0u8; 8]);
                let sums = match format {
                    Format::Int(f) if self.target.law == Law::SignedAbsmax && self.target.scale != ScaleType::Int8 => encode_half_up(self.isa, f, offset, band.tile, fitted, codes),
                    Format::Int(f) => encode_tile(self.isa, IntGrid { offset, ..self.target.grid(f, fitted) }, band.tile, fitted, codes),
                    Format::Float(f) => encode_tile(self.isa, f, band.tile, fitted, codes),
                };
                writer.write(band, codes);
                sums
            }),
        };
        let total = |lanes: &[f64; 8]| band.rows.clone().zip(lanes).map(|(n, x)| x * self.weight.square(n)).sum::<f64>();
        (total(&sums.error), total(&sums.energy), sums.finite)
    }
}

thread_local! {
    /// Tiles in work.
    static TILES: std::cell::RefCell<Vec<F8>> = const { std::cell::RefCell::new(Vec::new()) };
    /// Codes of the tile in work.
    static CODES: std::cell::RefCell<Vec<[u8; 8]>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Band<'a> {
    rows: Range<usize>,
    k0: usize,
    /// Real columns; the tile may have more, which are zero.
    len: usize,
    tile: &'a [F8],
}

impl Band<'_> {
    fn first_bad(&self) -> Option<(usize, usize)> {
        (0..self.rows.len()).find_map(|lane| {
            let k = self.tile.iter().position(|t| !t.0[lane].is_finite())?;
            Some((self.rows.start + lane, self.k0 + k))
        })
    }
}

struct Sums {
    error: [f64; 8],
    energy: [f64; 8],
    finite: bool,
}

/// A code in memory.
trait Word: Copy {
    fn of(code: u32) -> Self;
}
impl Word for u8 {
    #[inline(always)]
    fn of(code: u32) -> u8 {
        code as u8
    }
}
impl Word for u16 {
    #[inline(always)]
    fn of(code: u32) -> u16 {
        code as u16
    }
}

#[inline(always)]
// x − x is NaN where x is NaN or infinite.
#[allow(clippy::eq_op)]
fn add_squares(sums: &mut Sums, bad: &mut F8, x: F8, error: F8) {
    for i in 0..8 {
        let (e, w) = (f64::from(error.0[i]), f64::from(x.0[i]));
        sums.error[i] += e * e;
        sums.energy[i] += w * w;
    }
    *bad = *bad + (x - x);
}

per_isa! {
    /// code = round_ties_even(w / s) + z, saturating: QuantizeLinear.
    fn encode_tile<G: Grid, W: Word>(grid: G, tile: &[F8], fitted: Fitted, codes: &mut [[W; 8]]) -> Sums {
        let mut sums = Sums { error: [0.0; 8], energy: [0.0; 8], finite: true };
        let mut bad = F8::splat(0.0);
        for (&x, to) in tile.iter().zip(codes) {
            let value = grid.snap(x / fitted.step);
            for i in 0..8 {
                to[i] = W::of(grid.code(value.0[i], fitted.zero.0[i]));
            }
            add_squares(&mut sums, &mut bad, x, x - value * fitted.step);
        }
        sums.finite = bad == F8::splat(0.0);
        sums
    }
}

per_isa! {
    /// code = roundf(w · (1/s) + (z − lo)) + lo, saturating: onnxruntime's MatMulNBits quantizer.
    fn encode_half_up(f: Int, offset: i32, tile: &[F8], fitted: Fitted, codes: &mut [[u8; 8]]) -> Sums {
        let mut sums = Sums { error: [0.0; 8], energy: [0.0; 8], finite: true };
        let mut bad = F8::splat(0.0);
        let inverse = F8::splat(1.0) / fitted.step;
        let shift = fitted.zero - F8::splat(f.lo);
        let (bottom, top) = (F8::splat(0.0), F8::splat(f.hi - f.lo));
        let base = f.lo as i32 + offset;
        for (&x, to) in tile.iter().zip(codes) {
            let unsigned = (x * inverse + shift).max(bottom).min(top).map(round_half_up);
            for i in 0..8 {
                to[i] = integer(unsigned.0[i]).wrapping_add(base) as u8;
            }
            add_squares(&mut sums, &mut bad, x, x - (unsigned - shift) * fitted.step);
        }
        sums.finite = bad == F8::splat(0.0);
        sums
    }
}

/// Puts tiles of codes where the layout wants them.
struct Writer<'a> {
    geometry: Geometry,
    to: Shared<'a, u8>,
}

impl<'a> Writer<'a> {
    fn new(geometry: Geometry, to: &'a mut [u8]) -> Self {
        Writer { geometry, to: Shared::new(to) }
    }

    fn write(&self, band: &Band, codes: &[[u8; 8]]) {
        let g = &self.geometry;
        let bits = g.stored_bits();
        if g.transposed() {
            let len = (band.rows.len() * bits as usize).div_ceil(8);
            for (k, code) in codes.iter().enumerate() {
                let at = g.code_bit(band.rows.start, band.k0 + k) / 8;
                let packed = pack8(masked(*code, bits), bits).to_le_bytes();
                // SAFETY: rows of a band are its own, and begin on a byte.
                unsafe { self.to.at(at, len) }.copy_from_slice(&packed[..len]);
            }
            return;
        }
        let row_bytes = (codes.len() * bits as usize).div_ceil(8);
        let mut rows: [&mut [u8]; 8] = Default::default();
        for (lane, n) in band.rows.clone().enumerate() {
            // SAFETY: the segment of a row begins and ends on a byte and belongs to this task.
            rows[lane] = unsafe { self.to.at(g.code_bit(n, band.k0) / 8, row_bytes) };
        }
        for (i, eight) in codes.chunks(8).enumerate() {
            let mut words = [0u64; 8];
            for (word, code) in words.iter_mut().zip(eight) {
                *word = masked(*code, bits);
            }
            let lanes = transpose8(words);
            let at = i * bits as usize;
            let len = (eight.len() * bits as usize).div_ceil(8);
            for (row, word) in rows.iter_mut().zip(lanes).take(band.rows.len()) {
                let packed = pack8(word, bits).to_le_bytes();
                if len == 4 {
                    row[at..at + 4].copy_from_slice(&packed[..4]);
                } else {
                    row[at..at + len].copy_from_slice(&packed[..len]);
                }
            }
        }
    }

    fn write_wide(&self, band: &Band, codes: &[[u16; 8]]) {
        for (k, code) in codes.iter().enumerate() {
            for (lane, n) in band.rows.clone().enumerate() {
                let at = self.geometry.code_bit(n, band.k0 + k) / 8;
                // SAFETY: rows of a band are its own.
                unsafe { self.to.at(at, 2) }.copy_from_slice(&code[lane].to_le_bytes());
            }
        }
    }
}

/// Eight codes as a word, without bits above `bits` (signed codes are sign extended until here).
#[inline(always)]
fn masked(codes: [u8; 8], bits: u32) -> u64 {
    u64::from_le_bytes(codes) & (0x0101_0101_0101_0101 * u64::from(mask(bits)))
}
