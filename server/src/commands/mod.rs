//! The commands of `stedi-server`, one per file.

mod demo;
mod demo_report;
mod openapi;
mod serve;
mod stop;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Overrides};

/// The STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi-server", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job on one machine: loads sample or given data, promotes it, shows every table
    /// and the answer to one query, then serves.
    Demo(demo::Demo),
    /// Prints the description of the service's HTTP (OpenAPI 3.1).
    Openapi,
    /// The service.
    Serve(serve::Serve),
    /// Signs a token with the local key, for development and bootstrap.
    Token(token::Token),
}

/// Flags that every command has.
#[derive(Debug, Args)]
struct Common {
    /// The lake: a folder, file:///… or s3://bucket/prefix (keys, region and endpoint from the
    /// AWS_* variables) [default: ./.stedi/lake]
    #[arg(long, env = "STEDI_STORAGE", value_name = "URL")]
    storage: Option<String>,
    /// Keys and scratch space of this server; never in the lake [default: ./.stedi]
    #[arg(long, env = "STEDI_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Address to serve on [default: 127.0.0.1:7070]
    #[arg(long, env = "STEDI_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML)
    #[arg(long, env = "STEDI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A pipeline of your own: a folder with pipeline.toml and one .sql file per derived table
    #[arg(long, env = "STEDI_PIPELINE", value_name = "DIR")]
    pipeline: Option<PathBuf>,
    /// An option of the pipeline, for instance readings=since_consent
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
}

impl Common {
    fn config(&self) -> Result<Config, crate::config::ConfigError> {
        Config::load(Overrides {
            file: self.config.clone(),
            storage: self.storage.clone(),
            state_dir: self.state_dir.clone(),
            listen: self.listen,
            pipeline: self.pipeline.clone(),
            options: self.options.clone(),
        })
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs a command; its error goes to standard error.
pub fn run(cli: Cli) -> ExitCode {
    let default = match cli.command {
        Command::Demo(_) | Command::Openapi | Command::Token(_) => "warn",
        Command::Serve(_) => "info,deltalake_core=warn,buoyant_kernel=warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(demo) => demo.run().await,
            Command::Openapi => openapi::run(),
            Command::Serve(serve) => serve.run().await,
            Command::Token(token) => token.run(),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// What a command may fail with: it is only printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;
