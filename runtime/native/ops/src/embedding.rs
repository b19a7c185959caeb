//! `EmbeddingW4`, `EmbeddingW8`: rows of a table of codes as floats.
//!
//! Inputs: ids int64 […], codes uint8 [rows, K·bits / 8] (4 bits: two a byte, the even one low), scales float32 [rows, groups], zeros uint8 like
//! scales or of one element. Output: scale·(code − zero) of row `id` […, K]; an id below 0 counts from the end.

use crate::api::{Context, Element, Outcome};
use crate::info::Info;
use crate::op::{chosen, Operator};
use ort_sys::ONNXTensorElementDataType;
use qc_kernels::{table_row, Isa, Table};
use std::ffi::CStr;
use std::sync::Mutex;

/// Elements of a task.
const PIECE: usize = 1 << 14;

pub struct Embedding {
    pub name: &'static CStr,
    /// Codes of 4 bits.
    pub halves: bool,
}

impl Operator for Embedding {
    type Kernel = (Isa, bool);
    fn name(&self) -> &'static CStr {
        self.name
    }
    fn inputs(&self) -> usize {
        4
    }
    fn input_type(&self, index: usize) -> ONNXTensorElementDataType {
        [i64::TYPE, u8::TYPE, f32::TYPE, u8::TYPE][index]
    }
    fn make(&self, _: &Info) -> Outcome<Self::Kernel> {
        Ok((chosen()?, self.halves))
    }
    fn compute(&(isa, halves): &Self::Kernel, context: &Context) -> Outcome<()> {
        let (ids, codes) = (context.input::<i64>(0, "ids")?, context.input::<u8>(1, "codes")?);
        let (scales, zeros) = (context.input::<f32>(2, "scales")?, context.input::<u8>(3, "zeros")?);
        let (&[rows, bytes], &[scale_rows, groups]) = (&codes.shape[..], &scales.shape[..]) else {
            return Err(format!("codes and scales have the shapes {:?} and {:?}, not two sizes each", codes.shape, scales.shape));
        };
        let width = bytes * if halves { 2 } else { 1 };
        let table = Table { width, halves, codes: codes.data, groups, scales: scales.data, zeros: zeros.data };
        table.check(rows)?;
        if scale_rows != rows {
            return Err(format!("{rows} rows of codes, {scale_rows} of scales"));
        }
        let row = |id: i64| usize::try_from(if id < 0 { id.saturating_add(rows as i64) } else { id }).ok().filter(|&i| i < rows);
        if let Some(id) = ids.data.iter().find(|&&id| row(id).is_none()) {
            return Err(format!("the id {id} is none of {rows} rows"));
        }
        let y = context.output::<f32>(0, &[&ids.shape[..], &[width]].concat())?;
        let size = PIECE.div_ceil(width);
        let tasks = ids.data.chunks(size).zip(y.chunks_mut(size * width)).map(|task| Mutex::new(Some(task))).collect();
        context.each(tasks, &|(ids, y)| {
            for (&id, y) in ids.iter().zip(y.chunks_exact_mut(width)) {
                table_row(isa, &table, row(id).unwrap_or(0), y);
            }
        })
    }
}
