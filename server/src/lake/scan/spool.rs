//! An object as something that can be read from any place: in memory if it is small, else in a file
//! that goes with the process.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use bytes::Bytes;

/// Bytes up to which an object is held in memory.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// An object that was read.
#[derive(Debug)]
pub(super) enum Spooled {
    Memory(Bytes),
    File(File),
}

impl Spooled {
    /// All of it from the beginning.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Self::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                Ok(Box::new(io::BufReader::with_capacity(256 * 1024, file)))
            }
        }
    }
}

/// Takes an object as it comes.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
}

impl Spool {
    /// Large objects go into this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, memory: Vec::new(), file: None }
    }

    pub fn more(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            std::fs::create_dir_all(&self.folder)?;
            let path = self.folder.join(format!("scan-{}", uuid::Uuid::new_v4()));
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&path)?;
            // It has no name any more, and is gone when it is closed.
            std::fs::remove_file(&path)?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        Ok(())
    }

    pub fn done(self) -> Spooled {
        match self.file {
            Some(file) => Spooled::File(file),
            None => Spooled::Memory(self.memory.into()),
        }
    }
}
