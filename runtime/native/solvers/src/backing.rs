//! Bytes that lie in a file. Its map serves whoever reads here and there; whoever goes through all of them reads pieces into a
//! buffer that stays in cache: filling a page table costs more than the copy.

use crate::fault::Outcome;

/// The file behind a mapped input.
pub trait Backing: Sync {
    /// Fills `to` with the bytes from `at`.
    fn read(&self, at: usize, to: &mut [u8]) -> Outcome<()>;
    /// The map is about to be read everywhere.
    fn populate(&self);
}

/// An input: its bytes, and the file that they are mapped from where there is one.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub bytes: &'a [u8],
    pub file: Option<&'a dyn Backing>,
}

impl<'a> Input<'a> {
    /// `len` bytes from `at`, in `buffer` where they come from a file.
    pub fn piece<'b>(&self, at: usize, len: usize, buffer: &'b mut Vec<u8>) -> Outcome<&'b [u8]>
    where
        'a: 'b,
    {
        let Some(file) = self.file else { return Ok(&self.bytes[at..at + len]) };
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        file.read(at, &mut buffer[..len])?;
        Ok(&buffer[..len])
    }
}
