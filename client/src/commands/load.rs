//! `stedi load`: records from files, or from standard input, into a landing table.

use std::fs::File;
use std::io::{IsTerminal, Read, stderr, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use stedi_client::{Backoff, ClientError, Retries, Server};
use stedi_openapi::{LoadQuery, LoadResult};
use uuid::Uuid;

use super::{Format, show};

/// Rejected records of one file that are shown.
const SHOWN: usize = 10;

/// Flags of `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// The landing table
    table: String,
    /// Files with JSON records, plain, gzip or zstd; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Load {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), ClientError> {
        let mut results = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let (name, result) = load(server, &self.table, path).await?;
            for reject in result.rejects.iter().take(SHOWN) {
                eprintln!("{name}:{}: {}", reject.line, reject.reason);
            }
            if result.rejected > SHOWN as u64 {
                eprintln!("{name}: {} rejected; the first {SHOWN} are shown", result.rejected);
            }
            results.push((name, result));
        }
        let header = [
            "file",
            "table",
            "received",
            "accepted",
            "rejected",
            "duplicate",
            "suppressed",
            "version",
        ];
        let rows = results.iter().map(|(name, result)| row(name, result));
        match format {
            Format::Json => {
                let results: Vec<&LoadResult> = results.iter().map(|(_, result)| result).collect();
                println!("{}", serde_json::to_string_pretty(&results)?);
            }
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }
}

async fn load(
    server: &Server,
    table: &str,
    path: &Path,
) -> Result<(String, LoadResult), ClientError> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    // What was read from standard input cannot be read again.
    let retries = if path == Path::new("-") { Retries::never() } else { Retries::default() };
    let key = Uuid::new_v4().to_string();
    let mut backoff = Backoff::new(retries);
    loop {
        let error = match once(server, table, path, &name, &key).await {
            Ok(result) => return Ok((name, result)),
            Err(error) => error,
        };
        let Some(pause) = backoff.pause(&error) else { return Err(error) };
        eprintln!("{name}: {error}; sent again");
        tokio::time::sleep(pause).await;
    }
}

async fn once(
    server: &Server,
    table: &str,
    path: &Path,
    name: &str,
    key: &str,
) -> Result<LoadResult, ClientError> {
    let unreadable = |source| ClientError::File { name: path.display().to_string(), source };
    let (reader, length): (Box<dyn Read + Send>, Option<u64>) = match path == Path::new("-") {
        true => (Box::new(stdin()), None),
        false => {
            let file = File::open(path).map_err(unreadable)?;
            let meta = file.metadata().map_err(unreadable)?;
            // Of a pipe or a device the length says nothing.
            (Box::new(file), meta.is_file().then_some(meta.len()))
        }
    };
    let bar = progress(name, length);
    let query = LoadQuery { name: Some(name.chars().take(200).collect()) };
    let result = server.load(table, &query, key, bar.wrap_read(reader), length).await;
    bar.finish_and_clear();
    result
}

/// Bytes that are sent, on a terminal.
fn progress(name: &str, length: Option<u64>) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => {
            let template = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            (ProgressBar::new(length), template)
        }
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
    .with_message(name.to_owned())
}

fn row(name: &str, result: &LoadResult) -> [String; 8] {
    let numbers = [
        result.received,
        result.accepted,
        result.rejected,
        result.duplicate,
        result.suppressed,
        result.version,
    ];
    let [received, accepted, rejected, duplicate, suppressed, version] =
        numbers.map(|number| number.to_string());
    let table = result.table.clone();
    [name.to_owned(), table, received, accepted, rejected, duplicate, suppressed, version]
}
