//! The commands of `stedi-server`, one per file.

mod backup;
mod demo;
mod demo_report;
mod log;
mod openapi;
mod serve;
mod stop;
mod suppression_key;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, LogConfig, LogFormat, Overrides};

/// What a server logs where nobody says what.
const SERVE_LOG: &str = "info,deltalake_core=warn,buoyant_kernel=warn";
/// What the other commands log: they print what they do.
const QUIET_LOG: &str = "warn";
/// For work on threads of its own that nobody waits for any more.
const ABANDONED: Duration = Duration::from_millis(500);

/// The STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi-server", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the lake to another place while servers work on it, or brings such a copy up to date.
    Backup(backup::BackupCommand),
    /// The main job on one machine: loads sample or given data, promotes it, shows every table
    /// and the answer to one query, then serves.
    Demo(demo::Demo),
    /// Prints the description of the service's HTTP (OpenAPI 3.1).
    Openapi,
    /// The service.
    Serve(serve::Serve),
    /// The keys of the suppression list, under which erased customers are kept out.
    SuppressionKey(suppression_key::SuppressionKey),
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
    /// Form of the log on standard error: text or json [default: text]
    #[arg(long, env = "STEDI_LOG_FORMAT", value_name = "FORMAT", value_parser = LogFormat::parse)]
    log_format: Option<LogFormat>,
    /// What is logged, for instance warn,stedi_server=debug
    #[arg(long, env = "STEDI_LOG_FILTER", value_name = "FILTER")]
    log_filter: Option<String>,
}

impl Common {
    /// The configuration; logs as it says from here on.
    fn begin(&self, usual_log: &str) -> Result<Config, Failure> {
        let config = Config::load(Overrides {
            file: self.config.clone(),
            storage: self.storage.clone(),
            state_dir: self.state_dir.clone(),
            listen: self.listen,
            pipeline: self.pipeline.clone(),
            options: self.options.clone(),
            log_format: self.log_format,
            log_filter: self.log_filter.clone(),
        })?;
        log::begin(&config.log, self.log_filter.as_deref(), usual_log)?;
        Ok(config)
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs a command; its error goes to standard error.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

impl Command {
    fn run(self) -> Outcome {
        match self {
            Command::Backup(backup) => {
                let config = backup.common.begin(QUIET_LOG)?;
                in_runtime(backup.run(config))
            }
            Command::Demo(demo) => {
                let config = demo.common.begin(QUIET_LOG)?;
                in_runtime(demo.run(config))
            }
            Command::Openapi => openapi::run(),
            Command::Serve(serve) => {
                let config = serve.common.begin(SERVE_LOG)?;
                in_runtime(serve::run(config))
            }
            Command::SuppressionKey(key) => {
                log::begin(&LogConfig::default(), None, QUIET_LOG)?;
                key.run()
            }
            Command::Token(token) => {
                log::begin(&LogConfig::default(), None, QUIET_LOG)?;
                token.run()
            }
        }
    }
}

fn in_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // A thread that is in the middle of a block of data must not hold up the end of the process;
    // what it has not committed does not count.
    runtime.shutdown_timeout(ABANDONED);
    outcome
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// What a command may fail with: it is only printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;
