//! `stedi revoke`: customers withdraw their consent to research; `stedi erase`: they are forgotten.

use std::time::Duration;

use clap::Args;
use stedi_client::{ClientError, Server};
use stedi_openapi::{
    CertificateKind, CertifiedTable, RevocationInfo, RevocationOf, RevocationRequest,
    RevocationStep, WorkState,
};

use super::{Format, show};

/// How often it is asked how far it is.
const PAUSE: Duration = Duration::from_millis(500);

/// Flags of `revoke` and `erase`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// E-mails of customers
    #[arg(value_name = "EMAIL", required_unless_present = "devices")]
    emails: Vec<String>,
    /// The customer who claims this device
    #[arg(long = "serialnumber", value_name = "NUMBER")]
    devices: Vec<String>,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    /// Waits only until no read returns the rows, not until nothing is left of them
    #[arg(long)]
    no_wait: bool,
}

impl Revoke {
    pub async fn run(
        self,
        kind: CertificateKind,
        server: &Server,
        format: Format,
    ) -> Result<(), ClientError> {
        let of = |email, serialnumber| RevocationOf { email, serialnumber };
        let emails = self.emails.into_iter().map(|email| of(Some(email), None));
        let devices = self.devices.into_iter().map(|device| of(None, Some(device)));
        let requests = emails.chain(devices).collect();
        let request =
            RevocationRequest { requests, reason: self.reason, ..RevocationRequest::default() };
        let mut revocation = match kind {
            CertificateKind::Revocation => server.revoke(&request).await?,
            CertificateKind::Erasure => server.erase(&request).await?,
        };
        eprintln!("{} {}", kind.name(), revocation.id);
        let mut said = None;
        while !revocation.state.is_final() {
            if said != Some(revocation.what.step) {
                said = Some(revocation.what.step);
                eprintln!("{}", line(&revocation));
            }
            if self.no_wait && revocation.what.acknowledged.is_some() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            revocation = match kind {
                CertificateKind::Revocation => server.revocation(&revocation.id).await?,
                CertificateKind::Erasure => server.erasure(&revocation.id).await?,
            };
        }
        let header =
            ["table", "rows before", "rows after", "version", "history from", "files", "commits"];
        let rows = revocation.what.tables.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&revocation)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        for found in &revocation.what.found {
            eprintln!("{}: {}", found.object, found.what);
        }
        match revocation.state {
            WorkState::Succeeded => Ok(()),
            state if self.no_wait && !state.is_final() => Ok(()),
            state => {
                let what = format!("{} {}", kind.name(), revocation.id);
                Err(ClientError::Ended { what, state: state.name() })
            }
        }
    }
}

/// What is being done.
fn line(revocation: &RevocationInfo) -> String {
    let waits = revocation.what.waits.as_deref().unwrap_or_default();
    match revocation.what.step {
        RevocationStep::Deny => "the rows are being denied".to_owned(),
        RevocationStep::Erase => "no read returns the rows; landing is emptied now".to_owned(),
        RevocationStep::Redact => "our own records are emptied now".to_owned(),
        RevocationStep::Delete => "no read returns the rows; they are deleted now".to_owned(),
        RevocationStep::Purge => format!("they are purged now {waits}").trim_end().to_owned(),
        RevocationStep::Verify => "it is looked whether anything is left".to_owned(),
        RevocationStep::Certify | RevocationStep::Done => "it is proved".to_owned(),
    }
}

fn row(table: &CertifiedTable) -> [String; 7] {
    [
        table.table.clone(),
        table.rows_before.to_string(),
        table.rows_after.to_string(),
        table.version_after.to_string(),
        table.history_from.to_string(),
        table.files_removed.to_string(),
        table.commits_removed.to_string(),
    ]
}
