//! Parses the command line and runs one command.

use std::process::ExitCode;

use clap::Parser;
use stedi_server::commands::Cli;
use tikv_jemallocator::Jemalloc;

/// Gives memory back: with that of glibc a server held half as much again after some minutes of loads,
/// promotions and statements, and went on growing (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    stedi_server::commands::run(Cli::parse())
}
