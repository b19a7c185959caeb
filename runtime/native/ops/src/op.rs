//! An operator as the table of functions that ONNX Runtime calls.

use crate::api::{Api, Context, Element, Outcome};
use crate::info::{Info, Known};
use ort_sys::*;
use qc_kernels::Isa;
use std::cell::OnceCell;
use std::ffi::{c_char, c_int, c_void, CStr};

/// An input that may have several types.
pub const ANY: ONNXTensorElementDataType = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;

/// An operator: its inputs, the last of which may be absent, and the types of its outputs.
pub trait Operator: Sync + 'static {
    type Kernel: Sync;
    fn name(&self) -> &CStr;
    fn inputs(&self) -> usize;
    /// How many inputs there must be; those behind may be left out.
    fn required(&self) -> usize {
        self.inputs()
    }
    /// The type of an input; ANY where it may be one of several. A session pays for each that may be any: its list of all types.
    fn input_type(&self, _index: usize) -> ONNXTensorElementDataType {
        f32::TYPE
    }
    fn outputs(&self) -> &'static [ONNXTensorElementDataType] {
        &[f32::TYPE]
    }
    /// The variant of its kernel that runs on `isa`. Tile registers multiply int8 rows only: who has no use for them runs as the set below.
    fn variant(&self, isa: Isa) -> Isa {
        isa.below_tiles()
    }
    /// Reads and checks the attributes.
    fn make(&self, info: &Info) -> Outcome<Self::Kernel>;
    fn compute(kernel: &Self::Kernel, context: &Context) -> Outcome<()>;
}

/// The instruction set of this machine, or the one that QC_ISA forces.
pub fn chosen() -> Outcome<Isa> {
    match std::env::var("QC_ISA") {
        Ok(name) if !name.is_empty() => Isa::named(&name).map_err(|e| format!("QC_ISA: {e}")),
        _ => Ok(Isa::detect()),
    }
}

/// The table, the operator behind it: ONNX Runtime hands the table back, and it is the first field.
#[repr(C)]
pub struct Table<O: Operator> {
    base: OrtCustomOp,
    operator: O,
}

struct Held<K> {
    api: Api,
    who: String,
    kernel: K,
    known: Vec<Option<Known>>,
}

/// The version of the table's form: what came after it is not in it.
const TABLE_VERSION: u32 = 17;

impl<O: Operator> Table<O> {
    pub const fn new(operator: O) -> Self {
        let base = OrtCustomOp {
            version: TABLE_VERSION,
            CreateKernel: None,
            GetName: Some(name::<O>),
            GetExecutionProviderType: Some(provider),
            GetInputType: Some(input::<O>),
            GetInputTypeCount: Some(inputs::<O>),
            GetOutputType: Some(output::<O>),
            GetOutputTypeCount: Some(outputs::<O>),
            KernelCompute: None,
            KernelDestroy: Some(destroy::<O>),
            GetInputCharacteristic: Some(characteristic::<O>),
            GetOutputCharacteristic: Some(always),
            GetInputMemoryType: Some(on_cpu),
            GetVariadicInputMinArity: Some(one_int),
            GetVariadicInputHomogeneity: Some(one_int),
            GetVariadicOutputMinArity: Some(one_int),
            GetVariadicOutputHomogeneity: Some(one_int),
            CreateKernelV2: Some(create::<O>),
            KernelComputeV2: Some(compute::<O>),
            InferOutputShapeFn: None,
            GetStartVersion: Some(one_int),
            GetEndVersion: Some(one_int),
        };
        Table { base, operator }
    }

    pub fn operator(&self) -> &O {
        &self.operator
    }

    pub fn base(&'static self) -> *const OrtCustomOp {
        &raw const self.base
    }
}

unsafe fn operator<'a, O: Operator>(op: *const OrtCustomOp) -> &'a O {
    // SAFETY: every table is the first field of a static `Table<O>`.
    unsafe { &(*op.cast::<Table<O>>()).operator }
}

unsafe extern "system" fn name<O: Operator>(op: *const OrtCustomOp) -> *const c_char {
    unsafe { operator::<O>(op) }.name().as_ptr()
}
unsafe extern "system" fn inputs<O: Operator>(op: *const OrtCustomOp) -> usize {
    unsafe { operator::<O>(op) }.inputs()
}
unsafe extern "system" fn provider(_: *const OrtCustomOp) -> *const c_char {
    c"CPUExecutionProvider".as_ptr()
}
/// Types are checked in the kernel too: beside a function body of the same name, declared ones are not.
unsafe extern "system" fn input<O: Operator>(op: *const OrtCustomOp, index: usize) -> ONNXTensorElementDataType {
    unsafe { operator::<O>(op) }.input_type(index)
}
unsafe extern "system" fn output<O: Operator>(op: *const OrtCustomOp, index: usize) -> ONNXTensorElementDataType {
    let types = unsafe { operator::<O>(op) }.outputs();
    types.get(index).copied().unwrap_or(ANY)
}
unsafe extern "system" fn outputs<O: Operator>(op: *const OrtCustomOp) -> usize {
    unsafe { operator::<O>(op) }.outputs().len()
}
unsafe extern "system" fn one_int(_: *const OrtCustomOp) -> c_int {
    1
}
unsafe extern "system" fn characteristic<O: Operator>(op: *const OrtCustomOp, index: usize) -> OrtCustomOpInputOutputCharacteristic {
    if index < unsafe { operator::<O>(op) }.required() {
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED
    } else {
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_OPTIONAL
    }
}
unsafe extern "system" fn always(_: *const OrtCustomOp, _: usize) -> OrtCustomOpInputOutputCharacteristic {
    OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED
}
unsafe extern "system" fn on_cpu(_: *const OrtCustomOp, _: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

unsafe extern "system" fn create<O: Operator>(op: *const OrtCustomOp, api: *const OrtApi, info: *const OrtKernelInfo, kernel: *mut *mut c_void) -> OrtStatusPtr {
    // SAFETY: the runtime's interface lives as long as the process; `kernel` is where the result goes.
    let (operator, api) = unsafe { (operator::<O>(op), Api(&*api)) };
    let who = format!("qc.v1.{}", operator.name().to_string_lossy());
    api.guard(&who.clone(), || {
        let info = Info { api, info };
        let held = Held { api, who, kernel: operator.make(&info)?, known: info.known(operator.inputs()) };
        unsafe { *kernel = Box::into_raw(Box::new(held)).cast() };
        Ok(())
    })
}
unsafe extern "system" fn compute<O: Operator>(kernel: *mut c_void, context: *mut OrtKernelContext) -> OrtStatusPtr {
    // SAFETY: made by `create`, shared between calls.
    let held = unsafe { &*kernel.cast::<Held<O::Kernel>>() };
    held.api.guard(&held.who, || O::compute(&held.kernel, &Context { api: held.api, context, known: &held.known, count: OnceCell::new() }))
}
unsafe extern "system" fn destroy<O: Operator>(kernel: *mut c_void) {
    // SAFETY: made by `create`, destroyed once.
    drop(unsafe { Box::from_raw(kernel.cast::<Held<O::Kernel>>()) });
}
