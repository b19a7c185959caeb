//! `LinearW4`, `LinearW4A8`, `LinearW8`, `LinearW8A8`: y = x·Wᵀ + b with W in layout 1.
//!
//! Inputs: x float32 […, K]; codes uint8 [panels, steps / 4, 64 or 128]; scales float32 [panels, groups, 32]; zeros uint8 of the
//! same shape or [1, 1, 1]; bias float32 [N] or [1]. Attributes: shape [K, N], group, layout.

use crate::api::{Context, Info, Outcome};
use crate::op::{chosen, Operator};
use qc_kernels::{float_task, int8_task, quantize_tile, start_factor, Isa, Output, Task, TileMut, Tiles, Tiling, Weight, Zeros};
use std::ffi::CStr;
use std::sync::Mutex;

/// The newest weight layout that this library reads.
pub const LAYOUT: i64 = 1;
/// Bytes of activations of a task: they stay in the second-level cache.
const BLOCK: usize = 1 << 20;

pub struct Linear {
    pub name: &'static CStr,
    pub bits: usize,
    /// Activations in int8, one scale a row, found at run time.
    pub int8: bool,
}

pub struct Kernel {
    isa: Isa,
    bits: usize,
    int8: bool,
    k: usize,
    n: usize,
    group: usize,
    /// Buffers of finished calls, for the next.
    spare: Mutex<Vec<Buffers>>,
}

#[derive(Default)]
struct Buffers {
    codes: Vec<i8>,
    scales: Vec<f32>,
    starts: Vec<i32>,
}

impl Operator for Linear {
    type Kernel = Kernel;
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        5
    }

    fn variant(&self, isa: Isa) -> Isa {
        if self.int8 { isa } else { isa.below_tiles() }
    }

    fn make(&self, info: &Info) -> Outcome<Kernel> {
        let layout = info.int(c"layout")?;
        if layout != LAYOUT {
            return Err(format!("its weights have layout {layout}, this library reads layout {LAYOUT}: install the version of qrecipe that wrote the model"));
        }
        let [k, n] = info.sizes(c"shape")?;
        let group = info.int(c"group")?;
        let group = usize::try_from(group).map_err(|_| format!("a group of {group}"))?;
        let isa = chosen()?;
        Ok(Kernel { isa, bits: self.bits, int8: self.int8, k, n, group, spare: Mutex::default() })
    }

    fn compute(kernel: &Kernel, context: &Context) -> Outcome<()> {
        let x = context.input::<f32>(0, "x")?;
        let codes = context.input::<u8>(1, "codes")?;
        let scales = context.input::<f32>(2, "scales")?;
        let zeros = context.input::<u8>(3, "zeros")?;
        let bias = context.input::<f32>(4, "bias")?;
        let zeros = if zeros.data.len() == 1 { Zeros::One(zeros.data[0]) } else { Zeros::Each(zeros.data) };
        let weight = Weight::new(kernel.k, kernel.n, kernel.bits, kernel.group, codes.data, scales.data, zeros)?;
        if x.shape.last() != Some(&kernel.k) {
            return Err(format!("x has the shape {:?}, its last size is not K = {}", x.shape, kernel.k));
        }
        let repeated;
        let bias = match bias.data {
            [0.0] => None,
            [b] => {
                repeated = vec![*b; kernel.n];
                Some(&repeated[..])
            }
            b if b.len() == kernel.n => Some(b),
            b => return Err(format!("the bias has {} values, not N = {} or 1", b.len(), kernel.n)),
        };
        let mut shape = x.shape;
        shape.pop();
        shape.push(kernel.n);
        let y = context.output(0, &shape)?;
        if y.is_empty() {
            return Ok(());
        }
        kernel.run(context, &weight, x.data, bias, y)
    }
}

impl Kernel {
    fn run(&self, context: &Context, weight: &Weight, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Outcome<()> {
        let rows = x.len() / self.k;
        let y = Output::new(y);
        let size = if self.int8 { weight.depth() } else { 4 * weight.depth() };
        let block = (BLOCK / size / Tiling::BORDER).max(1) * Tiling::BORDER;
        let tasks = rows.div_ceil(block) * weight.panels();
        let task = |i: usize| {
            let from = i / weight.panels() * block;
            Task { panel: i % weight.panels(), rows: from..rows.min(from + block) }
        };
        if !self.int8 {
            return context.parallel(tasks, &|i| float_task(self.isa, weight, x, bias, &y, &task(i)));
        }
        let mut buffers = self.spare.lock().map(|mut s| s.pop()).ok().flatten().unwrap_or_default();
        let tiling = Tiling::of(self.isa, self.group);
        self.quantize(context, tiling, weight, x, &mut buffers)?;
        let x = Tiles { tiling, depth: weight.depth(), groups: weight.groups(), codes: &buffers.codes, scales: &buffers.scales, starts: &buffers.starts };
        context.parallel(tasks, &|i| int8_task(self.isa, weight, &x, bias, &y, &task(i)))?;
        if let Ok(mut spare) = self.spare.lock() {
            spare.push(buffers);
        }
        Ok(())
    }

    fn quantize(&self, context: &Context, tiling: Tiling, weight: &Weight, x: &[f32], to: &mut Buffers) -> Outcome<()> {
        let rows = x.len() / self.k;
        let factor = start_factor(self.isa, self.bits, weight.zeros);
        to.codes.resize(rows * weight.depth(), 0);
        to.scales.resize(rows, 0.0);
        to.starts.resize(rows * weight.groups(), 0);
        let mut tiles = vec![];
        let (mut x, mut codes, mut scales, mut starts) = (x, &mut to.codes[..], &mut to.scales[..], &mut to.starts[..]);
        while !scales.is_empty() {
            let height = tiling.height(scales.len());
            let tile = TileMut {
                codes: codes.split_off_mut(..height * weight.depth()).unwrap_or_default(),
                scales: scales.split_off_mut(..height).unwrap_or_default(),
                starts: starts.split_off_mut(..height * weight.groups()).unwrap_or_default(),
            };
            let rows;
            (rows, x) = x.split_at(height * self.k);
            tiles.push(Mutex::new(Some((rows, tile))));
        }
        let each = |i: usize| {
            if let Some((x, tile)) = tiles[i].lock().ok().and_then(|mut t| t.take()) {
                quantize_tile(tiling, x, self.k, self.group, factor, tile);
            }
        };
        if tiles.len() == 1 {
            each(0);
            return Ok(());
        }
        context.parallel(tiles.len(), &each)
    }
}
