//! `stedi certificate`: proofs are checked offline.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stedi_client::{CertificateKey, ClientError, Verified, chained};
use stedi_openapi::CertificateKind;

use super::{Format, show};

/// Flags of `certificate`.
#[derive(Debug, Args)]
pub struct Certificate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks signature and form of certificates, and of several that they follow one another. Asks no
    /// server.
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// Files with one certificate each
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The service's public key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Certificate {
    pub fn run(self, format: Format) -> Result<(), ClientError> {
        let Command::Verify(verify) = self.command;
        verify.run(format)
    }
}

impl Verify {
    fn run(self, format: Format) -> Result<(), ClientError> {
        let key = read(&self.key)?;
        let wrong = |name: &PathBuf| {
            let name = name.display().to_string();
            move |source| ClientError::Certificate { name, source }
        };
        let key =
            CertificateKey::parse(&String::from_utf8_lossy(&key)).map_err(wrong(&self.key))?;
        let mut verified = Vec::with_capacity(self.files.len());
        for file in &self.files {
            verified.push(key.verify(&read(file)?).map_err(wrong(file))?);
        }
        chained(&mut verified).map_err(|source| ClientError::Certificate {
            name: "the certificates".to_owned(),
            source,
        })?;
        let header = ["certificate", "kind", "requests", "objects", "rows", "excluded", "sha256"];
        let rows = verified.iter().map(row);
        match format {
            Format::Json => {
                let all: Vec<_> = verified.iter().map(|it| &it.certificate).collect();
                println!("{}", serde_json::to_string_pretty(&all)?);
            }
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        Ok(())
    }
}

fn row(verified: &Verified) -> [String; 7] {
    let certificate = &verified.certificate;
    let kind = match certificate.kind {
        CertificateKind::Revocation => "revocation",
        CertificateKind::Erasure => "erasure",
    };
    [
        certificate.sequence.to_string(),
        kind.to_owned(),
        certificate.requests.len().to_string(),
        certificate.scan.objects.to_string(),
        certificate.scan.rows.to_string(),
        certificate.excluded.len().to_string(),
        verified.digest.clone(),
    ]
}

fn read(file: &PathBuf) -> Result<Vec<u8>, ClientError> {
    std::fs::read(file)
        .map_err(|source| ClientError::File { name: file.display().to_string(), source })
}
