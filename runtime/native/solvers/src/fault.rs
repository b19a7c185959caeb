//! Errors as a kebab-case code and a sentence.

#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
}

pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Fault { code, message: message.into() }
    }

    /// A caller that broke the contract of a request: a bug above us, not wrong input of a user.
    pub fn request(message: impl Into<String>) -> Self {
        Fault::new("bad-request", message)
    }
}
