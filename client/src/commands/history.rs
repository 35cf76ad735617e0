//! `stedi history`: the versions of a table.

use clap::Args;
use stedi_client::{ClientError, Server};
use stedi_openapi::{HistoryQuery, TableHistory, TableVersion};

use super::{Format, show};

/// Versions that are asked for at once.
const PAGE: u64 = 1000;

/// Flags of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// The table
    table: String,
    /// At most so many versions, from the newest back
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    limit: u64,
    /// Only versions before this one
    #[arg(long, value_name = "VERSION")]
    before: Option<u64>,
}

impl History {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), ClientError> {
        let history = self.read(server).await?;
        let header =
            ["version", "time", "operation", "who", "inserted", "deleted", "bytes", "sources"];
        let rows = history.versions.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&history)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }

    /// Page by page, as one.
    async fn read(&self, server: &Server) -> Result<TableHistory, ClientError> {
        let page = |left: u64, before| HistoryQuery { limit: Some(left.clamp(1, PAGE)), before };
        let mut history = server.history(&self.table, &page(self.limit, self.before)).await?;
        while let Some(before) = history.next {
            let left = self.limit.saturating_sub(history.versions.len() as u64);
            if left == 0 {
                break;
            }
            let more = server.history(&self.table, &page(left, Some(before))).await?;
            history.versions.extend(more.versions);
            history.next = more.next;
        }
        Ok(history)
    }
}

fn row(version: &TableVersion) -> [String; 8] {
    let known = |rows: Option<u64>| rows.map_or_else(|| "?".to_owned(), |rows| rows.to_string());
    let operation = match &version.mode {
        Some(mode) => format!("{} ({mode})", version.operation),
        None => version.operation.clone(),
    };
    let sources: Vec<String> =
        version.sources.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    [
        version.version.to_string(),
        version.time.clone(),
        operation,
        version.who.clone().unwrap_or_default(),
        known(version.rows_inserted),
        known(version.rows_deleted),
        version.bytes_added.to_string(),
        sources.join(" "),
    ]
}
