//! `stedi snapshot verify`: a folder is checked offline.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use stedi_client::verify;

use crate::commands::failure::Failure;
use crate::commands::{Format, show};

/// Flags of `snapshot verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The folder that a snapshot was pulled into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Files that are read at once
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    jobs: usize,
}

impl Verify {
    pub fn run(self, format: Format) -> Result<(), Failure> {
        let found = verify(&self.folder, self.jobs)?;
        let header = ["path", "fault"];
        let rows = found.faults.iter().map(|it| [it.path.clone(), it.kind.to_string()]);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&found)?),
            Format::Csv => show::csv(header, rows),
            Format::Table if found.faults.is_empty() => {
                let (files, bytes) = (found.files, found.bytes);
                println!("snapshot {}: {files} files, {bytes} bytes, all right", found.snapshot);
            }
            Format::Table => show::columns(header, rows),
        }
        match found.faults.len() {
            0 => Ok(()),
            faults => Err(Failure::Faults(faults)),
        }
    }
}
