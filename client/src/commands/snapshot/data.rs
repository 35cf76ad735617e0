//! `stedi snapshot data`: rows of a snapshot come into a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt;
use stedi_client::{ClientError, Server};
use stedi_openapi::SnapshotDataQuery;

use crate::commands::failure::Failure;

/// Flags of `snapshot data`.
#[derive(Debug, Args)]
pub struct Data {
    /// Its id, its name, or latest
    snapshot: String,
    /// The file, which is there when all rows are in it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The table, where the snapshot has several
    #[arg(long)]
    table: Option<String>,
    /// Columns, separated by commas; all without it
    #[arg(long)]
    columns: Option<String>,
    /// A condition on a row, as in SQL
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// train, validation or test, or whatever the pipeline calls its splits
    #[arg(long)]
    split: Option<String>,
    /// i/n: the i-th of n parts, from 0, which together have every row once
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
}

impl Data {
    pub async fn run(self, server: &Server) -> Result<(), Failure> {
        let query = SnapshotDataQuery {
            table: self.table,
            columns: self.columns,
            condition: self.condition,
            split: self.split,
            shard: self.shard,
        };
        let mut draft = self.out.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let written = match write(server, &self.snapshot, &query, &draft).await {
            Ok(bytes) => std::fs::rename(&draft, &self.out).map(|()| bytes).map_err(of(&self.out)),
            Err(error) => Err(error),
        };
        if written.is_err() {
            // It may not have been made.
            let _ = std::fs::remove_file(&draft);
        }
        eprintln!("{} bytes in {}", written?, self.out.display());
        Ok(())
    }
}

/// Writes the rows as they come; how many bytes they are.
async fn write(
    server: &Server,
    snapshot: &str,
    query: &SnapshotDataQuery,
    draft: &Path,
) -> Result<u64, ClientError> {
    let mut rows = std::pin::pin!(server.snapshot_data_bytes(snapshot, query).await?);
    let mut file = File::create_new(draft).map_err(of(draft))?;
    let mut bytes = 0;
    while let Some(chunk) = rows.try_next().await? {
        file.write_all(&chunk).map_err(of(draft))?;
        bytes += chunk.len() as u64;
    }
    file.sync_all().map_err(of(draft))?;
    Ok(bytes)
}

fn of(file: &Path) -> impl FnOnce(io::Error) -> ClientError {
    let name = file.display().to_string();
    move |source| ClientError::File { name, source }
}
