//! Which of a table's files are to be rewritten.
//!
//! What costs a reader is how many pieces there are to look into: small files, and files whose rows
//! lie across each other. Files that follow each other by the first clustering column are one piece,
//! a sorted run; every small file is one too. Pieces of about the same size are merged when there are
//! enough of them, as in a log-structured merge tree: a table of any size has few pieces, and a row
//! is rewritten only as often as the logarithm of its table's size.

use std::collections::BTreeSet;

use crate::lake::files::{Bound, DataFile};
use crate::lake::pieces::FILE_ROWS;

/// Rows from which on a file is not small, whatever its bytes: it would be written so again.
const FULL: u64 = FILE_ROWS / 2;

/// A piece joins those that are smaller than it if it is at most so many times as large as all of
/// them together.
const RATIO: u64 = 4;

/// When files are rewritten.
#[derive(Clone, Copy, Debug)]
pub struct CompactionRules {
    /// Bytes below which a file is small.
    pub small: u64,
    /// Pieces of about the same size that are merged.
    pub pieces: usize,
    /// Bytes that are rewritten at once.
    pub most: u64,
}

/// Files that are read as one.
#[derive(Debug, Default)]
struct Piece {
    size: u64,
    files: Vec<DataFile>,
}

impl Piece {
    fn add(&mut self, file: DataFile) {
        self.size += file.size;
        self.files.push(file);
    }
}

/// The files to merge; none if it is not worth it.
pub(super) fn due(files: Vec<DataFile>, by: Option<&str>, rules: CompactionRules) -> Vec<DataFile> {
    let (small, large): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.size < rules.small && file.rows() < FULL);
    let mut pieces = runs(large, by);
    pieces.extend(small.into_iter().map(|file| Piece { size: file.size, files: vec![file] }));
    pieces.sort_by_key(|piece| piece.size);
    let (mut smaller, mut alike, mut take) = (0_u64, 0, 0);
    for (place, piece) in pieces.iter().enumerate() {
        if piece.size > smaller.saturating_mul(RATIO) {
            alike = 0;
        }
        alike += 1;
        smaller += piece.size;
        if smaller > rules.most {
            break;
        }
        if alike >= rules.pieces.max(2) {
            take = place + 1;
        }
    }
    pieces.truncate(take);
    pieces.into_iter().flat_map(|piece| piece.files).collect()
}

/// Sorted runs: each file begins where the one before it ends, or behind that. Without bounds a file
/// is a run of its own.
fn runs(files: Vec<DataFile>, by: Option<&str>) -> Vec<Piece> {
    let Some(by) = by else {
        let mut all = Piece::default();
        files.into_iter().for_each(|file| all.add(file));
        return if all.files.is_empty() { Vec::new() } else { vec![all] };
    };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut bounded = Vec::new();
    for file in files {
        match file.bounds(by) {
            Some((min, max)) => bounded.push((min, max, file)),
            None => pieces.push(Piece { size: file.size, files: vec![file] }),
        }
    }
    bounded.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    // Where each run ends; of several that end before a file, the one that ends last.
    let mut ends = BTreeSet::<(Bound, usize)>::new();
    for (min, max, file) in bounded {
        let before = ends.range(..=(min, usize::MAX)).next_back().cloned();
        let run = match before {
            Some(end) => {
                ends.remove(&end);
                end.1
            }
            None => {
                pieces.push(Piece::default());
                pieces.len() - 1
            }
        };
        ends.insert((max, run));
        if let Some(piece) = pieces.get_mut(run) {
            piece.add(file);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CompactionRules = CompactionRules { small: 100, pieces: 4, most: 10_000 };

    fn file(size: u64, bounds: Option<(&str, &str)>) -> DataFile {
        let stats = bounds.map(|(min, max)| {
            format!(r#"{{"numRecords":1,"minValues":{{"k":"{min}"}},"maxValues":{{"k":"{max}"}}}}"#)
        });
        DataFile { name: format!("{size}-{bounds:?}"), size, stats }
    }

    fn sizes(files: Vec<DataFile>, by: Option<&str>) -> Vec<u64> {
        due(files, by, RULES).iter().map(|file| file.size).collect()
    }

    fn small(sizes: &[u64]) -> Vec<DataFile> {
        sizes.iter().map(|size| file(*size, Some(("a", "z")))).collect()
    }

    #[test]
    fn enough_small_files_are_merged() {
        assert!(sizes(small(&[]), Some("k")).is_empty());
        assert!(sizes(small(&[5, 5, 5]), Some("k")).is_empty());
        assert_eq!(sizes(small(&[5, 6, 5, 5]), Some("k")), [5, 5, 5, 6]);
    }

    #[test]
    fn a_file_with_its_rows_is_not_small() {
        let full = |rows: u64, min: &str, max: &str| DataFile {
            stats: Some(format!(
                r#"{{"numRecords":{rows},"minValues":{{"k":"{min}"}},"maxValues":{{"k":"{max}"}}}}"#
            )),
            ..file(5, None)
        };
        let run =
            |rows| [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")].map(|(a, b)| full(rows, a, b));
        assert!(sizes(run(FULL).to_vec(), Some("k")).is_empty());
        assert_eq!(sizes(run(FULL - 1).to_vec(), Some("k")).len(), 4);
    }

    #[test]
    fn a_larger_one_waits_for_its_like() {
        assert!(sizes(small(&[1, 1, 1, 90]), Some("k")).is_empty());
        assert_eq!(sizes(small(&[1, 1, 1, 1, 90]), Some("k")), [1, 1, 1, 1]);
        // What is smaller goes along.
        assert_eq!(sizes(small(&[1, 80, 80, 80, 80]), Some("k")), [1, 80, 80, 80, 80]);
    }

    #[test]
    fn files_behind_each_other_are_one_piece() {
        let run = |size| {
            [("a", "c"), ("c", "f"), ("g", "z")].map(|bounds| file(size, Some(bounds))).to_vec()
        };
        let runs = |count| (0..count).flat_map(|_| run(200)).collect::<Vec<_>>();
        assert!(sizes(runs(1), Some("k")).is_empty());
        assert!(sizes(runs(3), Some("k")).is_empty());
        assert_eq!(sizes(runs(4), Some("k")).len(), 12);
        // Without an order there is nothing to gain.
        assert!(sizes(runs(4), None).is_empty());
    }

    #[test]
    fn files_across_each_other_are_merged() {
        let across = |count| (0..count).map(|_| file(200, Some(("a", "z")))).collect::<Vec<_>>();
        assert!(sizes(across(3), Some("k")).is_empty());
        assert_eq!(sizes(across(4), Some("k")).len(), 4);
        let unknown = (0..4).map(|_| file(200, None)).collect();
        assert_eq!(sizes(unknown, Some("k")).len(), 4);
    }

    #[test]
    fn no_more_than_so_many_bytes_at_once() {
        let many = (0..20).map(|_| file(900, Some(("a", "z")))).collect();
        let bytes: u64 = sizes(many, Some("k")).iter().sum();
        assert!(bytes > 3000 && bytes <= RULES.most, "{bytes}");
        let huge = (0..20).map(|_| file(9_000, Some(("a", "z")))).collect();
        assert!(sizes(huge, Some("k")).is_empty());
    }

    /// However many loads there are, a table has few pieces, and its rows are seldom rewritten.
    #[test]
    fn work_and_pieces_grow_slowly() {
        let rules = CompactionRules { most: u64::MAX, ..RULES };
        let (mut files, mut rewritten, mut loaded) = (Vec::new(), 0, 0);
        for load in 0..5_000_u64 {
            let size = 1 + load % 7;
            loaded += size;
            files.push(file(size, Some(("a", "z"))));
            loop {
                let merged = due(files.clone(), Some("k"), rules);
                if merged.is_empty() {
                    break;
                }
                let size: u64 = merged.iter().map(|file| file.size).sum();
                rewritten += size;
                for gone in merged {
                    let place = files.iter().position(|file| file.size == gone.size).unwrap();
                    files.remove(place);
                }
                files.push(file(size, Some(("a", "z"))));
            }
        }
        assert!(files.len() < 40, "{}", files.len());
        assert!(rewritten < 12 * loaded, "{rewritten} of {loaded}");
    }
}
