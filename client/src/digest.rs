//! SHA-256 of files and documents, in hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ring::digest::{Context, SHA256, digest};
use serde_json::Value;

/// Bytes that are read of a file at once.
const CHUNK: usize = 1024 * 1024;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;
/// What the id of a snapshot does not cover.
const NOT_COVERED: [&str; 3] = ["id", "name", "superseded_by"];

/// The id that a manifest must have: the SHA-256 of its canonical form (RFC 8785) without `id`, `name`
/// and `superseded_by`. `None` if it is no object.
pub fn manifest_id(manifest: &Value) -> Option<String> {
    let mut fields = manifest.as_object()?.clone();
    for name in NOT_COVERED {
        fields.remove(name);
    }
    Some(of_bytes(&serde_json_canonicalizer::to_vec(&fields).ok()?))
}

/// Whether a text is a digest as it is written here.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(digest(&SHA256, bytes).as_ref())
}

/// The digest of a file's content, read piece by piece.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hexadecimal(context.finish().as_ref())),
            length => context.update(&chunk[..length]),
        }
    }
}

/// The digests of files, on so many threads.
pub(crate) fn of_files(paths: &[PathBuf], threads: usize) -> Vec<io::Result<String>> {
    let left = Mutex::new(paths.iter().enumerate());
    let next = || left.lock().ok()?.next();
    let mut found: Vec<(usize, io::Result<String>)> = std::thread::scope(|scope| {
        let work = || -> Vec<_> {
            std::iter::from_fn(next).map(|(at, path)| (at, of_file(path))).collect()
        };
        let threads = threads.clamp(1, paths.len().max(1));
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, digest)| digest).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_covers_all_but_what_may_change() {
        // printf '{"created":1,"tables":[]}' | sha256sum
        let id = "e57dd74182161009773f3bcc61cebc3a2985176fe1af9d40ac4e3f67dabf8661";
        let manifest = serde_json::json!({
            "tables": [], "id": id, "created": 1, "name": "a", "superseded_by": null
        });
        let found = manifest_id(&manifest).unwrap();
        assert_eq!(found, id);
        assert_eq!(manifest_id(&serde_json::json!([])), None);
    }

    #[test]
    fn digests_are_64_digits() {
        assert!(is_digest(&of_bytes(b"")));
        assert!(!is_digest(&of_bytes(b"").to_uppercase()));
        assert!(!is_digest("../x"));
    }
}
