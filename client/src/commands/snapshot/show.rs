//! `stedi snapshot show`: what is in a snapshot.

use clap::Args;
use stedi_client::Server;
use stedi_openapi::{Manifest, SnapshotTable};

use crate::commands::failure::Failure;
use crate::commands::{Format, show};

/// Flags of `snapshot show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, its name, or latest
    #[arg(default_value = "latest")]
    snapshot: String,
}

impl Show {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let manifest = server.snapshot(&self.snapshot).await?;
        if let Some(successor) = &manifest.superseded_by {
            eprintln!("it was redacted; {successor} takes its place");
        }
        print(&manifest, format)
    }
}

/// Prints the tables of a manifest, or the manifest.
pub fn print(manifest: &Manifest, format: Format) -> Result<(), Failure> {
    let header = ["table", "version", "rows", "files", "bytes", "columns", "splits"];
    let rows = manifest.tables.iter().map(row);
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(manifest)?),
        Format::Csv => show::csv(header, rows),
        Format::Table => {
            println!("id    {}", manifest.id);
            println!("name  {}", manifest.name.as_deref().unwrap_or("-"));
            show::columns(header, rows);
        }
    }
    Ok(())
}

fn row(table: &SnapshotTable) -> [String; 7] {
    let splits: Vec<String> =
        table.splits.iter().map(|(split, rows)| format!("{split}={rows}")).collect();
    let bytes: u64 = table.files.iter().map(|file| file.bytes).sum();
    [
        table.table.clone(),
        table.version.to_string(),
        table.rows.to_string(),
        table.files.len().to_string(),
        bytes.to_string(),
        table.schema.len().to_string(),
        splits.join(" "),
    ]
}
