//! `stedi snapshot delete`: a snapshot goes.

use clap::Args;
use stedi_client::Server;

use super::list::row;
use crate::commands::failure::Failure;
use crate::commands::{Format, show};

/// Flags of `snapshot delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Its id, or its name
    snapshot: String,
}

impl Delete {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let info = server.delete_snapshot(&self.snapshot).await?;
        let header = ["id", "name", "created", "by", "tables", "rows", "bytes", "superseded by"];
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&info)?),
            Format::Csv => show::csv(header, [row(&info)]),
            Format::Table => println!("deleted {}", info.id),
        }
        Ok(())
    }
}
