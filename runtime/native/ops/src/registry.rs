//! The list of operators, and how a session learns of them.

use crate::api::{Api, Outcome};
use crate::attention::{CachedAttention, Store};
use crate::hadamard::Hadamard;
use crate::conv1d::CausalConv1d;
use crate::levels::LevelsMatMul;
use crate::linear::{Form, Linear};
use crate::norm::{Emits, Norm};
use crate::op::{Operator, Table};
use crate::plain_attention::Attention;
use crate::pointwise::{SiLUScaled, SiluMul};
use crate::rows::QuantizeRows;
use crate::scan::SelectiveScan;
use ort_sys::*;
use qc_kernels::{Isa, Levels};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock};

/// The list: an operator is one line here and a file beside this one.
macro_rules! operators {
    ($($operator:expr => $type:ty;)*) => {
        /// A table for each operator, which ONNX Runtime reads as long as the process lives.
        fn tables() -> impl Iterator<Item = *const OrtCustomOp> {
            [$({
                static TABLE: Table<$type> = Table::new($operator);
                TABLE.base()
            }),*].into_iter().chain(family().iter().map(Table::base))
        }

        /// The name of each operator, and the variant of its kernel that runs on `isa`.
        pub fn operators(isa: Isa) -> impl Iterator<Item = (&'static str, Isa)> {
            let known = move |o: &'static dyn Described| (o.label(), o.runs_on(isa));
            [$({
                static OPERATOR: $type = $operator;
                known(&OPERATOR)
            }),*].into_iter().chain(family().iter().map(move |t| known(t.operator())))
        }
    };
}

operators! {
    Norm { name: c"RmsNorm", layer: false, add: false, emits: Emits::Floats } => Norm;
    Norm { name: c"RmsNormQuantize", layer: false, add: false, emits: Emits::Rows } => Norm;
    Norm { name: c"RmsNormQuantizeStatic", layer: false, add: false, emits: Emits::Steps } => Norm;
    Norm { name: c"AddRmsNorm", layer: false, add: true, emits: Emits::Floats } => Norm;
    Norm { name: c"AddRmsNormQuantize", layer: false, add: true, emits: Emits::Rows } => Norm;
    Norm { name: c"AddRmsNormQuantizeStatic", layer: false, add: true, emits: Emits::Steps } => Norm;
    Norm { name: c"LayerNorm", layer: true, add: false, emits: Emits::Floats } => Norm;
    Norm { name: c"LayerNormQuantize", layer: true, add: false, emits: Emits::Rows } => Norm;
    Norm { name: c"LayerNormQuantizeStatic", layer: true, add: false, emits: Emits::Steps } => Norm;
    Norm { name: c"AddLayerNorm", layer: true, add: true, emits: Emits::Floats } => Norm;
    Norm { name: c"AddLayerNormQuantize", layer: true, add: true, emits: Emits::Rows } => Norm;
    Norm { name: c"AddLayerNormQuantizeStatic", layer: true, add: true, emits: Emits::Steps } => Norm;
    QuantizeRows { name: c"QuantizeRows", symmetric: true } => QuantizeRows;
    QuantizeRows { name: c"QuantizeRowsAsymmetric", symmetric: false } => QuantizeRows;
    SiluMul => SiluMul;
    LevelsMatMul { name: c"LogSqrt2MatMul4", levels: Levels { bits: 4, steps: 2 } } => LevelsMatMul;
    LevelsMatMul { name: c"LogSqrt2MatMul6", levels: Levels { bits: 6, steps: 2 } } => LevelsMatMul;
    LevelsMatMul { name: c"Log2MatMul4", levels: Levels { bits: 4, steps: 1 } } => LevelsMatMul;
    CachedAttention { name: c"CachedAttention", store: Store::Floats, zeros: false } => CachedAttention;
    CachedAttention { name: c"CachedAttentionHalf", store: Store::Half, zeros: false } => CachedAttention;
    CachedAttention { name: c"CachedAttentionRounded", store: Store::Rounded, zeros: true } => CachedAttention;
    CachedAttention { name: c"CachedAttentionRoundedSymmetric", store: Store::Rounded, zeros: false } => CachedAttention;
    CachedAttention { name: c"CachedAttentionQ4", store: Store::Codes { packed: true }, zeros: true } => CachedAttention;
    CachedAttention { name: c"CachedAttentionQ4Symmetric", store: Store::Codes { packed: true }, zeros: false } => CachedAttention;
    CachedAttention { name: c"CachedAttentionQ8", store: Store::Codes { packed: false }, zeros: true } => CachedAttention;
    CachedAttention { name: c"CachedAttentionQ8Symmetric", store: Store::Codes { packed: false }, zeros: false } => CachedAttention;
    Attention => Attention;
    Hadamard { name: c"Hadamard", emits: Emits::Floats } => Hadamard;
    Hadamard { name: c"HadamardQuantizeAsymmetric", emits: Emits::Asymmetric } => Hadamard;
    Hadamard { name: c"HadamardQuantizeStatic", emits: Emits::Steps } => Hadamard;
    Hadamard { name: c"HadamardQuantize", emits: Emits::Rows } => Hadamard;
    SelectiveScan { name: c"SelectiveScan", codes: false } => SelectiveScan;
    SelectiveScan { name: c"SelectiveScanInt8", codes: true } => SelectiveScan;
    CausalConv1d { name: c"CausalConv1d", codes: false } => CausalConv1d;
    CausalConv1d { name: c"CausalConv1dInt8", codes: true } => CausalConv1d;
    SiLUScaled => SiLUScaled;
}

/// Linear layers: an operator for each form.
fn family() -> &'static [Table<Linear>] {
    static FAMILY: OnceLock<Vec<Table<Linear>>> = OnceLock::new();
    FAMILY.get_or_init(|| Form::all().map(|form| Table::new(Linear::new(form))).collect())
}

/// What is said of an operator.
trait Described {
    fn label(&self) -> &str;
    fn runs_on(&self, isa: Isa) -> Isa;
}
impl<O: Operator> Described for O {
    fn label(&self) -> &str {
        self.name().to_str().unwrap_or_default()
    }
    fn runs_on(&self, isa: Isa) -> Isa {
        self.variant(isa)
    }
}

/// The oldest interface that has parallel loops.
const API_VERSION: u32 = 17;

/// A domain, made once for each copy of ONNX Runtime in the process; sessions refer to it as long as they live.
struct Domain {
    api: *const OrtApi,
    domain: *mut OrtCustomOpDomain,
}
// SAFETY: only read after it was made.
unsafe impl Send for Domain {}
static DOMAINS: Mutex<Vec<Domain>> = Mutex::new(Vec::new());

/// Adds the domain `qc.v1` to the options of a session.
///
/// # Safety
/// `options` are alive and of the runtime that `api` belongs to.
pub unsafe fn add_domain(api: &'static OrtApi, options: *mut OrtSessionOptions) -> Result<(), String> {
    let a = Api(api);
    let mut domains = DOMAINS.lock().map_err(|_| "internal error".to_string())?;
    let known = domains.iter().find(|d| std::ptr::eq(d.api, api)).map(|d| d.domain);
    let domain = match known {
        Some(domain) => domain,
        None => {
            let domain = make(a)?;
            domains.push(Domain { api, domain });
            domain
        }
    };
    // SAFETY: as the caller promises; the domain is never released.
    a.check(unsafe { (api.AddCustomOpDomain)(options, domain) })
}

fn make(a: Api) -> Outcome<*mut OrtCustomOpDomain> {
    let mut domain = null_mut();
    // SAFETY: tables are static.
    unsafe {
        a.check((a.0.CreateCustomOpDomain)(c"qc.v1".as_ptr(), &mut domain))?;
        for table in tables() {
            a.check((a.0.CustomOpDomain_Add)(domain, table))?;
        }
    }
    Ok(domain)
}

/// What ONNX Runtime calls in a library of operators.
///
/// # Safety
/// Called by ONNX Runtime.
#[no_mangle]
pub unsafe extern "system" fn RegisterCustomOps(options: *mut OrtSessionOptions, base: *const OrtApiBase) -> OrtStatusPtr {
    // SAFETY: the runtime's own tables.
    let api = unsafe { ((*base).GetApi)(API_VERSION).as_ref() };
    match api {
        Some(api) => Api(api).guard("qc.v1", || unsafe { add_domain(api, options) }),
        // Older than 1.17: without an interface there is no way to make a status, and nothing is registered.
        None => OrtStatusPtr(null_mut()),
    }
}
