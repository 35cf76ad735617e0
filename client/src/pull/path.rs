//! Paths of a manifest, which may come from anywhere: they stay below the folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::PullError;
use super::{LOCK, MANIFEST, STAGE};

/// Bytes of one part of a path, as file systems take them.
const LONGEST: usize = 255;

/// Checks a path of a manifest or of a lock file.
///
/// # Errors
/// [`PullError::Path`] if it is absolute, leads upwards, is not plain, or names what the client keeps.
pub(super) fn check(path: &str) -> Result<(), PullError> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= LONGEST
            && !part.contains(|it: char| it == '\\' || it == ':' || it.is_control())
    };
    let ours = path.split('/').next().is_some_and(|first| {
        [LOCK, MANIFEST, STAGE].iter().any(|name| name.eq_ignore_ascii_case(first))
    });
    match path.split('/').all(plain) && !ours {
        true => Ok(()),
        false => Err(PullError::Path(path.to_owned())),
    }
}

/// Where a checked path lies below a folder: no part of it may be a link, and what is there must be a
/// regular file.
///
/// # Errors
/// [`PullError::InTheWay`] if it is not so.
pub(super) fn below(folder: &Path, path: &str) -> Result<PathBuf, PullError> {
    check(path)?;
    let mut place = folder.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let last = parts.peek().is_none();
        match fs::symlink_metadata(&place) {
            Ok(it) if (last && it.is_file()) || (!last && it.is_dir()) => {}
            Ok(_) => return Err(PullError::InTheWay(place.display().to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(PullError::file(place.display())(source)),
        }
    }
    Ok(place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_folder_pass() {
        for path in ["a.parquet", "table/part-0.parquet", "a/b/c=1/ü.parquet", "..a/b", ".x"] {
            assert!(check(path).is_ok(), "{path}");
        }
        let long = "a".repeat(300);
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\\..\\b",
            "C:/a",
            "a\0b",
            "a\nb",
            "snapshot.lock",
            "manifest.json",
            "Manifest.JSON",
            ".stedi/x",
            ".STEDI/x",
            &long,
        ] {
            assert!(check(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn links_are_not_followed() {
        let folder = std::env::temp_dir().join(format!("stedi-path-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("real")).unwrap();
        fs::write(folder.join("real/file"), "").unwrap();
        std::os::unix::fs::symlink("/tmp", folder.join("out")).unwrap();
        std::os::unix::fs::symlink("real/file", folder.join("link")).unwrap();
        assert!(below(&folder, "real/file").is_ok());
        assert!(below(&folder, "new/file").is_ok());
        for path in ["out/file", "link", "real", "real/file/x"] {
            assert!(matches!(below(&folder, path), Err(PullError::InTheWay(_))), "{path}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
