//! `stedi sql`: a statement and its result.

use std::io::{Read, Write, stdin, stdout};

use clap::Args;
use futures::{Stream, TryStreamExt};
use stedi_client::{ClientError, Server};
use stedi_openapi::SqlRequest;

use super::failure::Failure;
use super::{Format, show};

/// Flags of `sql`.
#[derive(Debug, Args)]
pub struct Sql {
    /// One SELECT, or EXPLAIN of one; - reads it from standard input
    statement: String,
    /// A value for $1, the next for $2, …, as JSON: 0.5, "text", null
    #[arg(long = "parameter", short, value_name = "JSON")]
    parameters: Vec<String>,
}

impl Sql {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        let mut sql = self.statement;
        if sql == "-" {
            sql.clear();
            let read = stdin().read_to_string(&mut sql);
            read.map_err(|error| Failure::Stream("standard input", error))?;
        }
        let parameters = self
            .parameters
            .into_iter()
            .map(|text| serde_json::from_str(&text).map_err(|_| Failure::Parameter(text)));
        let request = SqlRequest { sql, parameters: parameters.collect::<Result<_, _>>()? };
        match format {
            Format::Table => {
                let result = server.sql(&request).await?;
                let header = result.columns.iter().map(|column| column.name.clone()).collect();
                let rows = result.rows.iter().map(|row| row.iter().map(field).collect());
                show::any_columns(header, rows);
                Ok(())
            }
            Format::Csv => copied(server.sql_bytes(&request, "text/csv").await?).await,
            Format::Json => {
                copied(server.sql_bytes(&request, "application/json").await?).await?;
                println!();
                Ok(())
            }
        }
    }
}

/// Bytes go to standard output as they come.
async fn copied<B: AsRef<[u8]>>(
    bytes: impl Stream<Item = Result<B, ClientError>>,
) -> Result<(), Failure> {
    let mut bytes = std::pin::pin!(bytes);
    let mut out = stdout().lock();
    let failed = |error| Failure::Stream("standard output", error);
    while let Some(chunk) = bytes.try_next().await? {
        out.write_all(chunk.as_ref()).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// A value for people.
fn field(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
