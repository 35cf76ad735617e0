//! Files in the forms in which the published revisions come.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How the records of a file are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// A record a line.
    Lines,
    /// One array.
    Array,
    /// A record behind the other, without line breaks.
    Joined,
    /// A record a line, and the last one is cut off.
    CutOff,
    /// A record a line with a comma behind it, and another name for the time.
    Renamed,
    /// A record a line, compressed.
    Gzip,
    /// A record a line, compressed.
    Zstd,
}

pub(super) const CUSTOMER: &[Form] = &[Form::Lines, Form::Joined];
pub(super) const ACCELEROMETER: &[Form] =
    &[Form::Lines, Form::Renamed, Form::Array, Form::Gzip, Form::Lines];
pub(super) const STEP_TRAINER: &[Form] = &[Form::CutOff, Form::Zstd, Form::Lines];

/// The files of one source: each holds the records of a range of customers.
pub(super) struct Folder {
    files: Vec<(Form, Output)>,
}

enum Output {
    Plain(BufWriter<File>, usize),
    Gzip(GzEncoder<BufWriter<File>>, usize),
    Zstd(zstd::Encoder<'static, BufWriter<File>>, usize),
}

impl Folder {
    pub fn create(parent: &Path, name: &str, forms: &[Form]) -> io::Result<Self> {
        let folder = parent.join(name);
        fs::create_dir_all(&folder)?;
        let mut files = Vec::new();
        for (number, form) in forms.iter().enumerate() {
            let ending = match form {
                Form::Gzip => ".gz",
                Form::Zstd => ".zst",
                _ => "",
            };
            let file = File::create(folder.join(format!("{name}-{}.json{ending}", number + 1)))?;
            let file = BufWriter::new(file);
            let output = match form {
                Form::Gzip => Output::Gzip(GzEncoder::new(file, Compression::fast()), 0),
                Form::Zstd => Output::Zstd(zstd::Encoder::new(file, 1)?, 0),
                _ => Output::Plain(file, 0),
            };
            files.push((*form, output));
        }
        Ok(Self { files })
    }

    /// Writes a record of customer `number` of `count`.
    pub fn write(&mut self, number: u64, count: u64, record: &str) -> io::Result<()> {
        let at = (number * self.files.len() as u64 / count.max(1)) as usize;
        let Some((form, output)) = self.files.get_mut(at) else { return Ok(()) };
        match form {
            Form::Array if output.records() == 0 => output.write("[\n")?,
            Form::Array => output.write(",\n")?,
            _ => {}
        }
        match form {
            Form::Renamed => {
                output.write(&record.replacen("\"timestamp\"", "\"timeStamp\"", 1))?;
                output.write(",\n")?;
            }
            Form::Array | Form::Joined => output.write(record)?,
            Form::Lines | Form::CutOff | Form::Gzip | Form::Zstd => {
                output.write(record)?;
                output.write("\n")?;
            }
        }
        output.count();
        Ok(())
    }

    pub fn finish(self) -> io::Result<()> {
        for (form, mut output) in self.files {
            match form {
                Form::Array if output.records() > 0 => output.write("\n]\n")?,
                Form::CutOff => output.write("{\"sensorReadingTime\":16555")?,
                _ => {}
            }
            match output {
                Output::Plain(mut file, _) => file.flush()?,
                Output::Gzip(encoder, _) => encoder.finish()?.flush()?,
                Output::Zstd(encoder, _) => encoder.finish()?.flush()?,
            }
        }
        Ok(())
    }
}

impl Output {
    fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Output::Plain(file, _) => file.write_all(text.as_bytes()),
            Output::Gzip(file, _) => file.write_all(text.as_bytes()),
            Output::Zstd(file, _) => file.write_all(text.as_bytes()),
        }
    }

    fn records(&self) -> usize {
        let (Output::Plain(_, records) | Output::Gzip(_, records) | Output::Zstd(_, records)) =
            self;
        *records
    }

    fn count(&mut self) {
        let (Output::Plain(_, records) | Output::Gzip(_, records) | Output::Zstd(_, records)) =
            self;
        *records += 1;
    }
}
