//! BLAKE3 of bytes that come in pieces, in any order and from any thread.

use crate::backing::Input;
use crate::fault::Outcome;
use crate::split::Split;
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root, ChainingValue, HasherExt, Mode};
use blake3::Hasher;
use std::sync::Mutex;

/// Bytes of a piece: a whole subtree of BLAKE3, so a power of two of its chunks.
const PIECE: usize = 1 << 16;
/// Bytes that a task reads.
const TASK: usize = 1 << 20;

/// The 32 bytes of BLAKE3 in its plain mode.
pub fn hash(split: &dyn Split, input: Input) -> Outcome<[u8; 32]> {
    let pieces = Pieces::new(input.bytes.len());
    pieces.take_all(split, input)?;
    pieces.finish(input)
}

/// What is known of a hash so far.
pub struct Pieces {
    len: usize,
    values: Mutex<Vec<Option<ChainingValue>>>,
}

impl Pieces {
    /// Of `len` bytes.
    pub fn new(len: usize) -> Self {
        Pieces { len, values: Mutex::new(vec![None; len.div_ceil(PIECE)]) }
    }

    /// Hashes the pieces that lie wholly within `bytes`, which are found at `at`.
    pub fn take(&self, at: usize, bytes: &[u8]) {
        let first = at.div_ceil(PIECE);
        let end = at + bytes.len();
        let past = if end == self.len { self.len.div_ceil(PIECE) } else { end / PIECE };
        let found: Vec<_> = (first..past).map(|p| value(p, &bytes[p * PIECE - at..end.min((p + 1) * PIECE) - at])).collect();
        let mut values = self.values.lock().expect("no panics while locked");
        for (p, v) in (first..past).zip(found) {
            values[p] = Some(v);
        }
    }

    /// Hashes everything.
    pub fn take_all(&self, split: &dyn Split, input: Input) -> Outcome<()> {
        let wrong = Mutex::new(Ok(()));
        split.run(self.len.div_ceil(TASK), &|task| {
            let at = task * TASK;
            match input.piece(at, TASK.min(self.len - at), &mut Vec::new()) {
                Ok(bytes) => self.take(at, bytes),
                Err(fault) => *wrong.lock().expect("no panics while locked") = Err(fault),
            }
        });
        wrong.into_inner().expect("no panics while locked")
    }

    /// The hash, when the pieces that nobody took are read from `input`.
    pub fn finish(self, input: Input) -> Outcome<[u8; 32]> {
        let mut buffer = Vec::new();
        if self.len <= PIECE {
            return Ok(blake3::hash(input.piece(0, self.len, &mut buffer)?).into());
        }
        let mut all = Vec::new();
        for (p, known) in self.values.into_inner().expect("no panics while locked").into_iter().enumerate() {
            all.push(match known {
                Some(v) => v,
                None => value(p, input.piece(p * PIECE, PIECE.min(self.len - p * PIECE), &mut buffer)?),
            });
        }
        let (left, right) = all.split_at(left_of(all.len()));
        Ok(merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).into())
    }
}

fn value(piece: usize, bytes: &[u8]) -> ChainingValue {
    Hasher::new().set_input_offset((piece * PIECE) as u64).update(bytes).finalize_non_root()
}

/// Pieces of the left subtree: the largest power of two below all of them.
fn left_of(n: usize) -> usize {
    n.next_power_of_two() / 2
}

fn subtree(pieces: &[ChainingValue]) -> ChainingValue {
    match pieces {
        [one] => *one,
        _ => {
            let (left, right) = pieces.split_at(left_of(pieces.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Sequential;

    fn data() -> Vec<u8> {
        (0..7 * PIECE + 1).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
    }

    #[test]
    fn pieces_make_the_hash_of_the_whole() {
        let data = data();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE, 5 * PIECE + 777, 7 * PIECE + 1] {
            let input = Input { bytes: &data[..len], file: None };
            assert_eq!(hash(&Sequential, input).unwrap(), *blake3::hash(&data[..len]).as_bytes(), "{len} bytes");
        }
    }

    #[test]
    fn cuts_within_pieces_change_nothing() {
        let data = data();
        let input = Input { bytes: &data, file: None };
        for cut in [1000, PIECE, PIECE + 5, 3 * PIECE - 1, 2 * PIECE] {
            let pieces = Pieces::new(data.len());
            for at in (0..data.len()).step_by(cut).collect::<Vec<_>>().into_iter().rev() {
                pieces.take(at, &data[at..data.len().min(at + cut)]);
            }
            assert_eq!(pieces.finish(input).unwrap(), *blake3::hash(&data).as_bytes(), "cut at {cut}");
        }
    }
}
