//! BLAKE3 of a buffer, its pieces hashed by tasks.

use crate::split::{Shared, Split};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root, ChainingValue, HasherExt, Mode};
use blake3::Hasher;

/// Bytes of a task: a whole subtree of BLAKE3, so a power of two of its chunks.
const PIECE: usize = 1 << 20;

/// The 32 bytes of BLAKE3 in its plain mode.
pub fn hash(split: &dyn Split, data: &[u8]) -> [u8; 32] {
    let n = data.len().div_ceil(PIECE);
    if n < 2 {
        return blake3::hash(data).into();
    }
    let mut pieces = vec![ChainingValue::default(); n];
    let shared = Shared::new(&mut pieces);
    split.run(n, &|i| {
        let at = i * PIECE;
        let piece = &data[at..data.len().min(at + PIECE)];
        let value = Hasher::new().set_input_offset(at as u64).update(piece).finalize_non_root();
        // SAFETY: every task writes its own element.
        unsafe { shared.at(i, 1)[0] = value };
    });
    let (left, right) = pieces.split_at(left_of(n));
    merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).into()
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
    use super::{hash, PIECE};
    use crate::split::Sequential;

    #[test]
    fn pieces_make_the_hash_of_the_whole() {
        let data: Vec<u8> = (0..7 * PIECE + 1).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE, 5 * PIECE + 777, 7 * PIECE + 1] {
            assert_eq!(hash(&Sequential, &data[..len]), *blake3::hash(&data[..len]).as_bytes(), "{len} bytes");
        }
    }
}
