//! The bytes of a load, decompressed where their first bytes say that they are compressed.

use std::io::{self, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b]; // RFC 1952, section 2.3.1
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd]; // RFC 8878, section 3.1.1

type Peeked<R> = Chain<Cursor<Vec<u8>>, Tap<R>>;

/// A stream of plain bytes.
pub(super) struct Bytes<R: Read> {
    form: Form<R>,
    /// How many more there may be.
    left: Option<u64>,
}

/// How the bytes come.
enum Form<R: Read> {
    Plain(Peeked<R>),
    Gzip(Box<MultiGzDecoder<Peeked<R>>>),
    Zstd(Box<zstd::Decoder<'static, io::BufReader<Peeked<R>>>>),
}

impl<R: Read> Bytes<R> {
    /// Looks at the first bytes and chooses how to read the rest, of which there may be `most`.
    pub fn open(reader: R, most: Option<u64>) -> io::Result<Self> {
        let mut tap = Tap { inner: reader, failed: false };
        let mut head = Vec::new();
        Read::by_ref(&mut tap).take(ZSTD.len() as u64).read_to_end(&mut head)?;
        let gzip = head.starts_with(&GZIP);
        let zstd = head.starts_with(&ZSTD);
        let peeked = Cursor::new(head).chain(tap);
        let form = match () {
            () if gzip => Form::Gzip(Box::new(MultiGzDecoder::new(peeked))),
            () if zstd => Form::Zstd(Box::new(zstd::Decoder::new(peeked)?)),
            () => Form::Plain(peeked),
        };
        Ok(Self { form, left: most })
    }

    /// Whether an error ends it all: the stream below failed or there was too much of it, as
    /// opposed to what it said not being decompressible.
    pub fn fatal(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::FileTooLarge || self.form.source_failed()
    }
}

impl<R: Read> Form<R> {
    fn source_failed(&self) -> bool {
        match self {
            Self::Plain(peeked) => peeked.get_ref().1.failed,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().1.failed,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().get_ref().1.failed,
        }
    }
}

impl<R: Read> Read for Bytes<R> {
    /// Fails with [`io::ErrorKind::FileTooLarge`] when there are more than there may be.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.form {
            Form::Plain(peeked) => peeked.read(buffer),
            Form::Gzip(decoder) => decoder.read(buffer),
            Form::Zstd(decoder) => decoder.read(buffer),
        }?;
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(read as u64);
            *left = rest.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        }
        Ok(read)
    }
}

/// Remembers whether the reader below failed.
pub(super) struct Tap<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.inner.read(buffer);
        if let Err(error) = &outcome {
            self.failed |= error.kind() != io::ErrorKind::Interrupted;
        }
        outcome
    }
}
