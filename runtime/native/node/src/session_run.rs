//! One run of a session: values in, values out.

use crate::flush::Flushed;
use crate::opened::Opened;
use crate::runtime::Outcome;
use crate::values::Value;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// An input: ONNX's number of the element type, the shape and little-endian bytes, or a value that the session holds.
#[napi(object)]
pub struct Feed {
    pub name: String,
    pub element: u32,
    pub dims: Vec<i64>,
    pub data: Option<Uint8Array>,
    pub held: Option<u32>,
}

/// An output. With `data`: written there. With `grow` (0: from nothing): written over the held value that it continues, where that has
/// room, and held. Else ONNX Runtime's own memory, held.
#[napi(object)]
pub struct Fetch {
    pub name: String,
    pub element: u32,
    pub dims: Vec<i64>,
    pub data: Option<Uint8Array>,
    pub grow: Option<u32>,
}

/// An output after the run; held: 0 where it went to the bytes that were given.
#[napi(object)]
pub struct Fetched {
    pub held: u32,
    pub element: u32,
    pub dims: Vec<i64>,
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Outcome<Vec<CString>> {
    names.map(|n| CString::new(n.as_str()).map_err(|_| "a name has a zero character".to_string())).collect()
}

/// Runs; bytes of feeds and fetches must not be touched meanwhile.
pub fn run(opened: &Opened, feeds: &mut [Feed], fetch: &mut [Fetch]) -> Outcome<Vec<Fetched>> {
    let runtime = opened.runtime;
    let _flushed = opened.flush.then(Flushed::new);
    let inputs = feeds.iter_mut().map(|f| input(opened, f).map_err(|e| format!("input \"{}\": {e}", f.name))).collect::<Outcome<Vec<_>>>()?;
    let outputs = fetch.iter_mut().map(|f| output(opened, f).map_err(|e| format!("output \"{}\": {e}", f.name))).collect::<Outcome<Vec<_>>>()?;
    let (input_names, output_names) = (names(feeds.iter().map(|f| &f.name))?, names(fetch.iter().map(|f| &f.name))?);
    let pointers = |n: &[CString]| n.iter().map(|n| n.as_ptr()).collect::<Vec<_>>();
    let (input_names, output_names) = (pointers(&input_names), pointers(&output_names));
    let given: Vec<_> = inputs.iter().map(|v| v.value.cast_const()).collect();
    let mut made: Vec<_> = outputs.iter().map(|v| v.as_ref().map_or(null_mut(), |v| v.value)).collect();
    // SAFETY: all arrays have the lengths that are passed and live during the call.
    let status = unsafe {
        let (n, m) = (given.len(), made.len());
        (runtime.api.Run)(opened.session, null(), input_names.as_ptr(), given.as_ptr(), n, output_names.as_ptr(), m, made.as_mut_ptr())
    };
    // What the run made is released on every way out.
    let results: Vec<Value> = outputs.into_iter().zip(made).map(|(given, made)| given.unwrap_or_else(|| Value::made(runtime, made))).collect();
    runtime.check(status)?;
    results.into_iter().zip(fetch).map(|(v, f)| keep(opened, v, f).map_err(|e| format!("output \"{}\": {e}", f.name))).collect()
}

fn input(opened: &Opened, feed: &mut Feed) -> Outcome<Arc<Value>> {
    match (&mut feed.data, feed.held) {
        // SAFETY: JavaScript leaves the bytes alone until the promise settles.
        (Some(data), _) => Ok(Arc::new(Value::over(opened.runtime, unsafe { data.as_mut() }, feed.element, &feed.dims)?)),
        (None, Some(id)) => opened.held(id),
        _ => Err("no data".into()),
    }
}

fn output(opened: &Opened, fetch: &mut Fetch) -> Outcome<Option<Value>> {
    match (&mut fetch.data, fetch.grow) {
        // SAFETY: as above.
        (Some(data), _) => Value::over(opened.runtime, unsafe { data.as_mut() }, fetch.element, &fetch.dims).map(Some),
        (None, Some(0)) => Value::grown(opened.runtime, None, fetch.element, &fetch.dims).map(Some),
        (None, Some(id)) => Value::grown(opened.runtime, Some(&*opened.held(id)?), fetch.element, &fetch.dims).map(Some),
        _ => Ok(None),
    }
}

fn keep(opened: &Opened, value: Value, fetch: &Fetch) -> Outcome<Fetched> {
    if fetch.data.is_some() {
        return Ok(Fetched { held: 0, element: fetch.element, dims: vec![] });
    }
    let (element, dims, _) = value.read()?;
    Ok(Fetched { held: opened.hold(value)?, element, dims })
}
