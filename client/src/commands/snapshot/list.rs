//! `stedi snapshot list`: which snapshots there are.

use clap::Args;
use stedi_client::{ClientError, Server};
use stedi_openapi::{SnapshotInfo, SnapshotList, SnapshotQuery};

use crate::commands::failure::Failure;
use crate::commands::{Format, show};

/// Snapshots that are asked for at once.
const PAGE: u32 = 200;

/// Flags of `snapshot list`.
#[derive(Debug, Args)]
pub struct List {
    /// At most so many, from the newest back
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
}

impl List {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let list = self.read(server).await?;
        let header = ["id", "name", "created", "by", "tables", "rows", "bytes", "superseded by"];
        let rows = list.snapshots.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&list)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }

    /// Page by page, as one.
    async fn read(&self, server: &Server) -> Result<SnapshotList, ClientError> {
        let mut list = SnapshotList { snapshots: Vec::new(), next: None };
        loop {
            let left = self.limit.saturating_sub(list.snapshots.len() as u32);
            if left == 0 {
                return Ok(list);
            }
            let query =
                SnapshotQuery { limit: Some(left.min(PAGE).into()), before: list.next.take() };
            let page = server.snapshots(&query).await?;
            let empty = page.snapshots.is_empty();
            list.snapshots.extend(page.snapshots);
            list.next = page.next;
            if list.next.is_none() || empty {
                return Ok(list);
            }
        }
    }
}

/// A snapshot as it is shown.
pub fn row(info: &SnapshotInfo) -> [String; 8] {
    [
        info.id.clone(),
        info.name.clone().unwrap_or_default(),
        info.created.to_string(),
        info.created_by.clone(),
        info.tables.join(" "),
        info.rows.to_string(),
        info.bytes.to_string(),
        info.superseded_by.clone().unwrap_or_default(),
    ]
}
