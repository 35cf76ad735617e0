//! `stedi-server backup`: a copy of the lake, while servers work on it.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::{Common, Outcome};
use crate::app::backup;
use crate::config::Config;

/// How often it says how far it is.
const TELL: Duration = Duration::from_secs(5);

/// Flags of `backup`.
#[derive(Debug, Args)]
pub(super) struct BackupCommand {
    #[command(flatten)]
    pub common: Common,
    /// Where to: a folder or s3://bucket/prefix that is empty, or has a backup of this lake, which is
    /// brought up to date
    #[arg(long, value_name = "URL")]
    to: String,
}

impl BackupCommand {
    pub async fn run(self, config: Config) -> Outcome {
        let backup = backup(&config, &self.to).await?;
        let telling = async {
            loop {
                tokio::time::sleep(TELL).await;
                let (objects, bytes) = backup.so_far();
                eprintln!("{objects} objects, {bytes} bytes copied");
            }
        };
        let done = tokio::select! {
            done = backup.run() => done?,
            () = telling => return Ok(()),
        };
        let mut out = std::io::stdout();
        writeln!(
            out,
            "copied {} objects ({} bytes), had {}, removed {}",
            done.copied, done.bytes, done.kept, done.removed
        )?;
        for (table, version) in &done.tables {
            writeln!(out, "{table} version {version}")?;
        }
        writeln!(out, "keep the keys of {} with it, but elsewhere", config.keys_dir().display())?;
        Ok(())
    }
}
