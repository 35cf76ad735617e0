//! Secret keys in files of the state folder: 32 random bytes as hexadecimal digits, readable by the
//! owner only.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// A secret key.
pub type Key = [u8; KEY_BYTES];

/// Reads a key; `None` if there is no file.
///
/// # Errors
/// If the file cannot be read, or ([`io::ErrorKind::InvalidData`]) does not hold a key.
pub fn read(file: &Path) -> io::Result<Option<Key>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut key = [0; KEY_BYTES];
    let wrong = format!("expected {} hexadecimal digits", 2 * KEY_BYTES);
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, wrong))?;
    Ok(Some(key))
}

/// Reads a key, making it first if there is none. The file appears whole or not at all; of two
/// servers that start at once both use the key that was first.
///
/// # Errors
/// As [`read`], or if the file cannot be made.
pub fn read_or_make(file: &Path) -> io::Result<Key> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    OsRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    let folder = file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    fs::create_dir_all(&folder)?;
    let draft = folder.join(format!(".key-{}", uuid::Uuid::new_v4()));
    write_private(&draft, hex::encode(key).as_bytes())?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(file)?.ok_or(error),
        Err(error) => Err(error),
    }
}

fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()
}
