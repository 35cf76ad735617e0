//! Parses the command line and runs one command.

use std::process::ExitCode;

use clap::Parser;
use stedi_server::commands::Cli;

fn main() -> ExitCode {
    stedi_server::commands::run(Cli::parse())
}
