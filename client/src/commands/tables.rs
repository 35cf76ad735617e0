//! `stedi tables`: what there is.

use clap::Args;
use stedi_client::{ClientError, Server};

use super::{Format, show};

/// Flags of `tables`.
#[derive(Debug, Args)]
pub struct Tables {}

impl Tables {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), ClientError> {
        let list = server.tables().await?;
        let header = ["zone", "table", "rows", "bytes", "version"];
        let rows = list.tables.iter().map(|table| {
            let numbers = [table.rows, table.bytes, table.version].map(|number| number.to_string());
            let [rows, bytes, version] = numbers;
            [table.zone.clone(), table.name.clone(), rows, bytes, version]
        });
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&list)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }
}
