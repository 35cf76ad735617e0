//! The subcommands of `stedi`.

mod audit;
mod certificate;
mod failure;
mod history;
mod load;
mod maintain;
mod profile;
mod promote;
mod ready;
mod revoke;
mod share;
mod show;
mod snapshot;
mod sql;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use stedi_client::{Profiles, Server};
use stedi_openapi::{CertificateKind, VERSION};

use failure::Failure;

/// The server that is asked if nobody says another.
const LOCAL: &str = "http://127.0.0.1:7070";

/// Client of the STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi", version = VERSION, about, max_term_width = 100)]
pub struct Cli {
    /// Address of the server [default: the profile's, else http://127.0.0.1:7070]
    #[arg(long, global = true, env = "STEDI_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Token of whoever asks
    #[arg(long, global = true, env = "STEDI_TOKEN", value_name = "JWT", hide_env_values = true)]
    token: Option<String>,
    /// Server and token as this profile of the configuration says
    #[arg(long, global = true, env = "STEDI_PROFILE", value_name = "NAME")]
    profile: Option<String>,
    /// How answers are shown
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows who did what, when, with which rows, and how it ended.
    Audit(audit::Audit),
    /// Checks proofs of revocations and erasures.
    Certificate(certificate::Certificate),
    /// Shows the versions of a table: when, by whom, what changed.
    History(history::History),
    /// Keeps a token from standard input in the keyring of a profile.
    Login(profile::Login),
    /// Loads JSON records from files into a landing table.
    Load(load::Load),
    /// Compacts tables, writes checkpoints, and removes what nobody needs any more.
    Maintain(maintain::Maintain),
    /// Profiles of servers, for --profile.
    Profile(profile::ProfileCommand),
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
    /// Snapshots of tables: create, list, show, pull, verify, delete.
    Snapshot(snapshot::Snapshot),
    /// Runs a SELECT.
    Sql(sql::Sql),
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
    match runtime.block_on(carried_out(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            error.code()
        }
    }
}

async fn carried_out(cli: Cli) -> Result<(), Failure> {
    let format = cli.format;
    // What asks no server needs no profile, and is not kept from its work by a wrong one.
    let (server, token) = match &cli.command {
        Command::Certificate(_) | Command::Login(_) | Command::Profile(_) => {
            (Server::new(LOCAL)?, None)
        }
        Command::Snapshot(snapshot) if snapshot.is_offline() => (Server::new(LOCAL)?, None),
        _ => server(&cli)?,
    };
    let server = match &token {
        Some(token) => server.with_token(token),
        None => server,
    };
    match cli.command {
        Command::Audit(audit) => audit.run(&server, format).await?,
        Command::Certificate(certificate) => certificate.run(format)?,
        Command::History(history) => history.run(&server, format).await?,
        Command::Load(load) => load.run(&server, format).await?,
        Command::Login(login) => login.run(&profiles()?, cli.profile.as_deref())?,
        Command::Maintain(maintain) => maintain.run(&server, format).await?,
        Command::Profile(profile) => profile.run(&profiles()?, format)?,
        Command::Promote(promote) => promote.run(&server, format).await?,
        Command::Ready(ready) => ready.run(&server).await?,
        Command::Revoke(revoke) => revoke.run(CertificateKind::Revocation, &server, format).await?,
        Command::Erase(erase) => erase.run(CertificateKind::Erasure, &server, format).await?,
        Command::Share(share) => share.run(server.address(), token.as_deref())?,
        Command::Snapshot(snapshot) => snapshot.run(&server, format).await?,
        Command::Sql(sql) => sql.run(&server, format).await?,
        Command::Tables(tables) => tables.run(&server, format).await?,
    }
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn profiles() -> Result<Profiles, Failure> {
    Ok(Profiles::read(&Profiles::place(variable)?)?)
}

/// The server, and the token for it, that flags, environment and profile name, in this order. A
/// profile's token goes to the profile's server and to no other.
fn server(cli: &Cli) -> Result<(Server, Option<String>), Failure> {
    let given = cli.server.as_deref().map(Server::new).transpose()?;
    let named = cli.profile.as_deref();
    // Without a home there are no profiles, which is no reason to fail where none is asked for.
    let profiles = match Profiles::place(variable) {
        Err(_) if named.is_none() => None,
        place => Some(Profiles::read(&place?)?),
    };
    let profile = profiles.as_ref().map(|it| it.find(named)).transpose()?.flatten();
    let of_profile = profile.map(|(_, profile)| Server::new(&profile.server)).transpose()?;
    let server = match (given, &of_profile) {
        (Some(given), _) => given,
        (None, Some(of_profile)) => of_profile.clone(),
        (None, None) => Server::new(LOCAL)?,
    };
    if let Some(token) = &cli.token {
        return Ok((server, Some(token.trim().to_owned())));
    }
    let Some((profiles, (name, profile))) = profiles.as_ref().zip(profile) else {
        return Ok((server, None));
    };
    if of_profile.is_some_and(|it| it.address() != server.address()) {
        if named.is_some() {
            eprintln!("the token of profile {name} is for {}, and not sent", profile.server);
        }
        return Ok((server, None));
    }
    let token = profiles.token(name, profile, variable)?;
    Ok((server, token.map(|token| token.text().to_owned())))
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
