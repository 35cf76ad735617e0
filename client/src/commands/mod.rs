//! The subcommands of `stedi`.

mod ready;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stedi_client::{ClientError, Server};

/// Client of the STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi", version, about, max_term_width = 100)]
pub struct Cli {
    /// Address of the server
    #[arg(long, env = "STEDI_SERVER", value_name = "URL", default_value = "http://127.0.0.1:7070")]
    server: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Waits until the server and its lake answer.
    Ready(ready::Ready),
}

/// Runs a subcommand; 0 only on success.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome: Result<(), ClientError> = runtime.block_on(async {
        let server = Server::new(&cli.server)?;
        match cli.command {
            Command::Ready(ready) => ready.run(&server).await,
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
