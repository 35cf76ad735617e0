//! `stedi maintain`: tables are kept quick and small, now.

use std::time::Duration;

use clap::Args;
use stedi_client::{ClientError, Server};
use stedi_openapi::{
    MaintainedState, MaintainedTable, MaintenanceInfo, MaintenanceRequest, WorkState,
};

use super::{Format, show};

/// How often it is asked how far it is.
const PAUSE: Duration = Duration::from_millis(300);

/// Flags of `maintain`.
#[derive(Debug, Args)]
pub struct Maintain {
    /// A table; all without any
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
}

impl Maintain {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), ClientError> {
        let tables = (!self.tables.is_empty()).then_some(self.tables);
        let asked = server.maintain(&MaintenanceRequest { tables }).await?;
        let id = asked.id.clone();
        let info = tokio::select! {
            info = to_the_end(server, asked) => info?,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("cancelling maintenance {id}");
                server.cancel_maintenance(&id).await?
            }
        };
        let header = [
            "table",
            "state",
            "version",
            "compacted",
            "checkpoint",
            "commits",
            "files",
            "seconds",
            "why",
        ];
        let rows = info.what.tables.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&info)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        for table in &info.what.tables {
            if let Some(error) = &table.error {
                eprintln!("{}: {} ({})", table.table, error.detail, error.code);
            }
        }
        match info.state {
            WorkState::Succeeded => Ok(()),
            state => {
                let what = format!("maintenance {}", info.id);
                Err(ClientError::Ended { what, state: state.name() })
            }
        }
    }
}

/// Asks until it has ended, and says on the terminal's other stream which table it is at.
async fn to_the_end(
    server: &Server,
    mut info: MaintenanceInfo,
) -> Result<MaintenanceInfo, ClientError> {
    let mut said = String::new();
    while !info.state.is_final() {
        let running = info.what.tables.iter().find(|table| table.state == MaintainedState::Running);
        if let Some(table) = running.filter(|table| table.table != said) {
            said = table.table.clone();
            eprintln!("maintaining {said}");
        }
        tokio::time::sleep(PAUSE).await;
        info = server.maintenance(&info.id).await?;
    }
    Ok(info)
}

/// What was done: files as before and after, commits and files that were removed.
fn row(table: &MaintainedTable) -> [String; 9] {
    let state = match table.state {
        MaintainedState::Queued => "queued",
        MaintainedState::Running => "running",
        MaintainedState::Done => "done",
        MaintainedState::Skipped => "skipped",
        MaintainedState::Failed => "failed",
    };
    let known = |version: Option<u64>| version.map(|it| it.to_string()).unwrap_or_default();
    let compacted = match table.files_before {
        0 => String::new(),
        before => format!("{before} -> {}", table.files_after),
    };
    let kept = match table.log_kept_for.is_empty() {
        true => String::new(),
        false => format!("the log is kept for {}", table.log_kept_for.join(", ")),
    };
    [
        table.table.clone(),
        state.to_owned(),
        known(table.version),
        compacted,
        known(table.checkpoint),
        table.commits_removed.to_string(),
        table.files_removed.to_string(),
        format!("{}.{:03}", table.millis / 1000, table.millis % 1000),
        table.why.clone().unwrap_or(kept),
    ]
}
