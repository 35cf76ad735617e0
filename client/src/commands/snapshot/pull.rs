//! `stedi snapshot pull`: a snapshot comes into a folder.

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use indicatif::{ProgressBar, ProgressStyle};
use stedi_client::{PullError, PullEvent, Pulled, Server};

use crate::commands::failure::Failure;
use crate::commands::{Format, show};

/// Flags of `snapshot pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Its id, its name, or latest
    snapshot: String,
    /// The folder that it is pulled into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Connections at once
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    jobs: usize,
    /// Pulls what the name stands for now, not what the folder's lock pins; removes what it has not
    #[arg(long)]
    update: bool,
    /// Where the snapshot was redacted, pulls its successor and removes the files that it replaces
    #[arg(long)]
    accept_redaction: bool,
    /// Removes Parquet files in the folder that are not the snapshot's
    #[arg(long)]
    prune: bool,
    /// Bytes that one request asks for
    #[arg(long, default_value_t = 16 * 1024 * 1024, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    piece: u64,
    /// Seconds without a byte after which a request is made again
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
    /// How often in a row a request is made that brings nothing
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
}

impl Pull {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let folder = self.out.clone();
        let mut pull = stedi_client::Pull::new(self.snapshot, self.out);
        pull.jobs = self.jobs;
        pull.update = self.update;
        pull.accept_redaction = self.accept_redaction;
        pull.prune = self.prune;
        pull.piece = self.piece;
        pull.patience = Duration::from_secs(self.patience);
        pull.retries.tries = self.tries;
        let bar = progress();
        let shown = bar.clone();
        let done = pull.run(server, move |event: PullEvent<'_>| told(&shown, event)).await;
        bar.finish_and_clear();
        if let Err(PullError::Redacted { .. }) = &done {
            eprintln!("what {} holds of it is as it was", folder.display());
        }
        let pulled = done?;
        for path in &pulled.removed {
            eprintln!("removed {path}");
        }
        print(&pulled, format)
    }
}

fn print(pulled: &Pulled, format: Format) -> Result<(), Failure> {
    let header =
        ["snapshot", "name", "files", "bytes", "fetched files", "fetched bytes", "removed"];
    let row = [
        pulled.snapshot.clone(),
        pulled.name.clone().unwrap_or_default(),
        pulled.files.to_string(),
        pulled.bytes.to_string(),
        pulled.fetched_files.to_string(),
        pulled.fetched_bytes.to_string(),
        pulled.removed.len().to_string(),
    ];
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(pulled)?),
        Format::Csv => show::csv(header, [row]),
        Format::Table => show::columns(header, [row]),
    }
    Ok(())
}

/// Bytes that are there, on a terminal.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{msg:24} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => ProgressBar::new(0).with_style(style),
        Err(_) => ProgressBar::new(0),
    }
}

fn told(bar: &ProgressBar, event: PullEvent<'_>) {
    match event {
        PullEvent::Missing { files, bytes } => {
            bar.set_length(bytes);
            bar.set_position(0);
            bar.set_message(format!("{files} files"));
        }
        PullEvent::Bytes(bytes) => bar.inc(bytes),
        PullEvent::Lost(bytes) => bar.set_position(bar.position().saturating_sub(bytes)),
        PullEvent::Fetched(_) => {}
        PullEvent::Again { path, why } => {
            bar.suspend(|| eprintln!("{path}: {why}; tried again"));
        }
        PullEvent::Successor(id) => {
            bar.suspend(|| eprintln!("it was redacted; {id} is pulled in its place"));
        }
    }
}
