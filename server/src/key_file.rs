//! Secret keys in files of the state folder: 32 random bytes as hexadecimal digits, readable by the
//! owner only. A ring of keys has one on each line, the newest first.

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
    parse(&text).map(Some)
}

/// Reads a ring of keys; `None` if there is no file.
///
/// # Errors
/// If the file cannot be read, or ([`io::ErrorKind::InvalidData`]) a line does not hold a key, or
/// there is none.
pub fn read_ring(file: &Path) -> io::Result<Option<Vec<Key>>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let keys = lines.map(|(number, line)| {
        parse(line)
            .map_err(|error| io::Error::new(error.kind(), format!("line {}: {error}", number + 1)))
    });
    let keys = keys.collect::<io::Result<Vec<Key>>>()?;
    match keys.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no key")),
        false => Ok(Some(keys)),
    }
}

/// Adds a new key to a ring, before the others; makes the ring if there is none. The file is replaced
/// as a whole. The new key.
///
/// # Errors
/// As [`read_ring`], or if the file cannot be written.
pub fn add_to_ring(file: &Path) -> io::Result<Key> {
    let Some(before) = read_ring(file)? else { return read_or_make(file) };
    let key = random()?;
    let lines: Vec<String> = std::iter::once(&key).chain(&before).map(hex::encode).collect();
    let draft = draft(file)?;
    write_private(&draft, lines.join("\n").as_bytes())?;
    match fs::rename(&draft, file) {
        Ok(()) => Ok(key),
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}

fn parse(text: &str) -> io::Result<Key> {
    let mut key = [0; KEY_BYTES];
    let wrong = format!("expected {} hexadecimal digits", 2 * KEY_BYTES);
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, wrong))?;
    Ok(key)
}

fn random() -> io::Result<Key> {
    let mut key = [0; KEY_BYTES];
    OsRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    Ok(key)
}

/// The name of a file beside this one, whose folder is there.
fn draft(file: &Path) -> io::Result<PathBuf> {
    let folder = file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!(".key-{}", uuid::Uuid::new_v4())))
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
    let key = random()?;
    let draft = draft(file)?;
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
