//! The subcommands of `stedi`.

mod certificate;
mod history;
mod load;
mod maintain;
mod promote;
mod ready;
mod revoke;
mod share;
mod show;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use stedi_client::{ClientError, Server};
use stedi_openapi::CertificateKind;

/// Client of the STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi", version, about, max_term_width = 100)]
pub struct Cli {
    /// Address of the server
    #[arg(
        long,
        global = true,
        env = "STEDI_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7070"
    )]
    server: String,
    /// Token of whoever asks
    #[arg(long, global = true, env = "STEDI_TOKEN", value_name = "JWT", hide_env_values = true)]
    token: Option<String>,
    /// How answers are shown
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks proofs of revocations and erasures.
    Certificate(certificate::Certificate),
    /// Shows the versions of a table: when, by whom, what changed.
    History(history::History),
    /// Loads JSON records from files into a landing table.
    Load(load::Load),
    /// Compacts tables, writes checkpoints, and removes what nobody needs any more.
    Maintain(maintain::Maintain),
    /// Brings derived tables up to date, and shows how far it is.
    Promote(promote::Promote),
    /// Waits until the server and its lake answer.
    Ready(ready::Ready),
    /// Withdraws the consent of customers, and waits until nothing is left of them in research.
    Revoke(revoke::Revoke),
    /// Forgets customers, and waits until nothing is left of them anywhere.
    Erase(revoke::Revoke),
    /// Lets programs of others read tables by the Delta Sharing protocol.
    Share(share::Share),
    /// Lists the tables that are there for you.
    Tables(tables::Tables),
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Columns, for people.
    Table,
    /// As the server sent it.
    Json,
    /// Comma-separated values (RFC 4180).
    Csv,
}

/// Runs a subcommand; 0 only on success.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome: Result<(), ClientError> = runtime.block_on(async {
        let server = Server::new(&cli.server)?;
        let server = match &cli.token {
            Some(token) => server.with_token(token),
            None => server,
        };
        match cli.command {
            Command::Certificate(certificate) => certificate.run(cli.format),
            Command::History(history) => history.run(&server, cli.format).await,
            Command::Load(load) => load.run(&server, cli.format).await,
            Command::Maintain(maintain) => maintain.run(&server, cli.format).await,
            Command::Promote(promote) => promote.run(&server, cli.format).await,
            Command::Ready(ready) => ready.run(&server).await,
            Command::Revoke(revoke) => {
                revoke.run(CertificateKind::Revocation, &server, cli.format).await
            }
            Command::Erase(erase) => erase.run(CertificateKind::Erasure, &server, cli.format).await,
            Command::Share(share) => share.run(&cli.server, cli.token.as_deref()),
            Command::Tables(tables) => tables.run(&server, cli.format).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
