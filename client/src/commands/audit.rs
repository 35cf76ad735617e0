//! `stedi audit`: who did what.

use clap::{Args, Subcommand};
use stedi_client::{ClientError, Server};
use stedi_openapi::{AuditPage, AuditQuery, AuditRecord};

use super::failure::Failure;
use super::{Format, show};

/// Records that are asked for at once.
const PAGE: usize = 1000;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    command: Option<Command>,
    /// Not before this time: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Of this principal
    #[arg(long)]
    principal: Option<String>,
    /// About the customer with this pseudonym
    #[arg(long)]
    subject: Option<String>,
    /// Of this kind: sql, statement, result, load, promotion, maintenance, denied, audit, …
    #[arg(long)]
    action: Option<String>,
    /// That ended so: ok, failed, cancelled, denied, interrupted
    #[arg(long)]
    outcome: Option<String>,
    /// With this table
    #[arg(long)]
    table: Option<String>,
    /// At most so many, from the newest back
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks that no record was changed, removed or added.
    Verify,
}

impl Audit {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        if let Some(Command::Verify) = self.command {
            return verify(server, format).await;
        }
        let page = self.read(server).await?;
        let header = [
            "time", "who", "action", "resource", "tables", "in", "out", "bytes", "outcome", "code",
        ];
        let rows = page.records.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&page)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }

    /// Page by page, as one.
    async fn read(self, server: &Server) -> Result<AuditPage, ClientError> {
        let mut query = AuditQuery {
            from: self.from,
            to: self.to,
            principal: self.principal,
            subject: self.subject,
            action: self.action,
            outcome: self.outcome,
            table: self.table,
            after: None,
            limit: None,
        };
        let mut all = AuditPage { records: Vec::new(), next: None };
        loop {
            let left = self.limit.saturating_sub(all.records.len());
            query.limit = Some(left.clamp(1, PAGE));
            let page = server.audit(&query).await?;
            all.records.extend(page.records);
            all.next = page.next.clone();
            query.after = page.next;
            if query.after.is_none() || all.records.len() >= self.limit {
                return Ok(all);
            }
        }
    }
}

async fn verify(server: &Server, format: Format) -> Result<(), Failure> {
    let report = server.verify_audit().await?;
    let header = ["chain", "records", "redacted", "whole", "break"];
    let rows = report.chains.iter().map(|chain| {
        let broken = chain.broken.as_ref().map(|at| format!("{}: {}", at.seq, at.reason));
        [
            chain.chain.clone(),
            chain.records.to_string(),
            chain.redacted.to_string(),
            if chain.ok { "yes" } else { "no" }.to_owned(),
            broken.unwrap_or_default(),
        ]
    });
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Csv => show::csv(header, rows),
        Format::Table => show::columns(header, rows),
    }
    for fault in &report.journal {
        eprintln!("{}:{}: {}", fault.file, fault.line, fault.reason);
    }
    match report.ok {
        true => Ok(()),
        false => Err(Failure::Audit),
    }
}

fn row(record: &AuditRecord) -> [String; 10] {
    let number = |number: Option<i64>| number.map(|it| it.to_string()).unwrap_or_default();
    let tables = record.tables.iter().map(|(table, version)| match version {
        Some(version) => format!("{table}@{version}"),
        None => table.clone(),
    });
    [
        record.at.to_string(),
        record.principal.clone().unwrap_or_default(),
        record.action.clone(),
        record.resource.clone(),
        tables.collect::<Vec<_>>().join(" "),
        number(record.rows_in),
        number(record.rows_out),
        number(record.bytes_out),
        record.outcome.clone(),
        record.code.clone().unwrap_or_default(),
    ]
}
