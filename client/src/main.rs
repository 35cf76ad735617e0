//! The `stedi` command: every user's job from the shell, one file per subcommand.

mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(commands::Cli::parse())
}
