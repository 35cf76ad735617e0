//! `stedi snapshot`: tables as they were at one moment.

mod create;
mod croissant;
mod data;
mod delete;
mod list;
mod pull;
mod show;
mod verify;

use clap::{Args, Subcommand};
use stedi_client::Server;

use super::Format;
use super::failure::Failure;

/// Flags of `snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keeps tables as they are now.
    Create(create::Create),
    /// Prints a snapshot's description as Croissant JSON-LD.
    Croissant(croissant::Croissant),
    /// Writes rows of a snapshot into a file, as an Arrow stream.
    Data(data::Data),
    /// Deletes a snapshot; what only it kept goes with the next maintenance.
    Delete(delete::Delete),
    /// Lists snapshots, newest first.
    List(list::List),
    /// Pulls a snapshot into a folder: resumes, verifies, and fetches only what is not there.
    Pull(pull::Pull),
    /// Shows what is in a snapshot; its manifest with --format json.
    Show(show::Show),
    /// Checks a folder that a snapshot was pulled into. Asks no server.
    Verify(verify::Verify),
}

impl Snapshot {
    /// Whether it is done without a server.
    pub fn is_offline(&self) -> bool {
        matches!(self.command, Command::Verify(_))
    }

    pub async fn run(self, server: &Server, format: Format) -> Result<(), Failure> {
        match self.command {
            Command::Create(create) => create.run(server, format).await,
            Command::Croissant(croissant) => croissant.run(server).await,
            Command::Data(data) => data.run(server).await,
            Command::Delete(delete) => delete.run(server, format).await,
            Command::List(list) => list.run(server, format).await,
            Command::Pull(pull) => pull.run(server, format).await,
            Command::Show(show) => show.run(server, format).await,
            Command::Verify(verify) => verify.run(format),
        }
    }
}
