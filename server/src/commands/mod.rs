//! The commands of `stedi-server`, one per file.

mod backup;
mod config;
mod demo;
mod demo_report;
mod healthcheck;
mod keys;
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
use stedi_openapi::VERSION;
use tokio_util::sync::CancellationToken;

use crate::app::AppError;
use crate::config::{ConfigError, LogFormat, Overrides, Settings};
use crate::traces::{Exporter, traces};

/// What a server logs where nobody says what.
const SERVE_LOG: &str = "info,deltalake_core=warn,buoyant_kernel=warn,aws_config=warn";
/// What the other commands log: they print what they do.
const QUIET_LOG: &str = "warn";
/// For work on threads of its own that nobody waits for any more.
const ABANDONED: Duration = Duration::from_millis(500);
/// For the last traces.
const LAST_TRACES: Duration = Duration::from_secs(1);

/// The STEDI lakehouse.
#[derive(Debug, Parser)]
#[command(name = "stedi-server", version = VERSION, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the lake to another place while servers work on it, or brings such a copy up to date.
    Backup(backup::BackupCommand),
    /// The configuration: checks it, shows it, prints the documented file.
    Config(config::ConfigCommand),
    /// The main job on one machine: loads sample or given data, promotes it, shows every table
    /// and the answer to one query, then serves.
    Demo(demo::Demo),
    /// Asks the server of this configuration whether it is ready: for containers, which need no
    /// other program for it. Exit code 0 only if it is.
    Healthcheck(healthcheck::Healthcheck),
    /// Makes the keys that all servers of a lake share, where they are missing: before several
    /// servers start on a new lake.
    Keys(keys::Keys),
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
    /// AWS_* variables) [env: STEDI_STORAGE] [default: ./.stedi/lake]
    #[arg(long, value_name = "URL")]
    storage: Option<String>,
    /// Keys and scratch space of this server; never in the lake [env: STEDI_STATE_DIR]
    /// [default: ./.stedi]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Keys that all servers of a lake share [env: STEDI_KEYS_DIR] [default: the state folder]
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<PathBuf>,
    /// Address to serve on [env: STEDI_LISTEN] [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML); each of its keys has a variable too (`config default` tells all)
    #[arg(long, env = "STEDI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A pipeline of your own: a folder with pipeline.toml and one .sql file per derived table
    /// [env: STEDI_PIPELINE]
    #[arg(long, value_name = "DIR")]
    pipeline: Option<PathBuf>,
    /// An option of the pipeline, for instance readings=since_consent
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// Form of the log on standard error: text or json [env: STEDI_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = LogFormat::parse)]
    log_format: Option<LogFormat>,
    /// What is logged, for instance warn,stedi_server=debug [env: STEDI_LOG_FILTER]
    #[arg(long, value_name = "FILTER")]
    log_filter: Option<String>,
}

impl Common {
    /// The configuration; logs as it says from here on, and collects traces for who sends them.
    fn begin(&self, usual_log: &str) -> Result<(Settings, Option<Exporter>), Failure> {
        let settings = self.settings()?;
        let (layer, exporter) = traces(&settings.config.traces)?.unzip();
        log::begin(&settings.config.log, layer, usual_log)
            .map_err(|error| located(error, &settings))?;
        Ok((settings, exporter))
    }

    /// The configuration, and who gave what.
    fn settings(&self) -> Result<Settings, ConfigError> {
        Settings::load(Overrides {
            file: self.config.clone(),
            environment: environment(),
            storage: self.storage.clone(),
            state_dir: self.state_dir.clone(),
            keys_dir: self.keys_dir.clone(),
            listen: self.listen,
            pipeline: self.pipeline.clone(),
            options: self.options.clone(),
            log_format: self.log_format,
            log_filter: self.log_filter.clone(),
        })
    }
}

/// Variables of the environment that are text.
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

/// The same failure; of a value that makes no sense it tells who gave it.
fn located(failure: Failure, settings: &Settings) -> Failure {
    let error = match failure.downcast::<AppError>().map(|error| *error) {
        Ok(AppError::Config(error)) => error,
        Ok(other) => return other.into(),
        Err(failure) => match failure.downcast::<ConfigError>() {
            Ok(error) => *error,
            Err(failure) => return failure,
        },
    };
    settings.located(error).into()
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
                let (settings, traces) = backup.common.begin(QUIET_LOG)?;
                let outcome = in_runtime(backup.run(settings.config.clone()), traces);
                outcome.map_err(|error| located(error, &settings))
            }
            Command::Config(command) => in_runtime(command.run(), None),
            Command::Demo(demo) => {
                let (settings, traces) = demo.common.begin(QUIET_LOG)?;
                let outcome = in_runtime(demo.run(settings.config.clone()), traces);
                outcome.map_err(|error| located(error, &settings))
            }
            Command::Healthcheck(healthcheck) => in_runtime(healthcheck.run(), None),
            Command::Keys(keys) => keys.run(),
            Command::Openapi => openapi::run(),
            Command::Serve(serve) => {
                let (settings, traces) = serve.common.begin(SERVE_LOG)?;
                let outcome = in_runtime(serve::run(settings.config.clone()), traces);
                outcome.map_err(|error| located(error, &settings))
            }
            Command::SuppressionKey(key) => key.run(),
            Command::Token(token) => token.run(),
        }
    }
}

/// Runs a command to its end, and sends its traces meanwhile.
fn in_runtime(work: impl Future<Output = Outcome>, traces: Option<Exporter>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let sending = traces.map(|traces| runtime.spawn(traces.run(stop.clone())));
    let outcome = runtime.block_on(work);
    if let Some(sending) = sending {
        stop.cancel();
        // What cannot be sent by then is lost; the end of the process is not held up for it.
        let _ = runtime.block_on(async { tokio::time::timeout(LAST_TRACES, sending).await });
    }
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
