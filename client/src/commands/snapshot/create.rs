//! `stedi snapshot create`: tables are kept as they are now.

use clap::Args;
use stedi_client::Server;
use stedi_openapi::SnapshotRequest;

use super::show::print;
use crate::commands::Format;
use crate::commands::failure::Failure;

/// Flags of `snapshot create`.
#[derive(Debug, Args)]
pub struct Create {
    /// A name for it, which no other snapshot has
    #[arg(long)]
    name: Option<String>,
    /// A table of it; those that the pipeline declares without any
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
}

impl Create {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let request = SnapshotRequest { name: self.name, tables: self.tables };
        let manifest = server.create_snapshot(&request).await?;
        eprintln!("snapshot {}", manifest.id);
        print(&manifest, format)
    }
}
