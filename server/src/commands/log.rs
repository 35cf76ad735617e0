//! What is logged, where to, in which form.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use super::Outcome;
use crate::config::{LogConfig, LogFormat};

/// Logs to standard error from here on. `usual` is the filter where nobody named one: flag and
/// `STEDI_LOG_FILTER`, then `RUST_LOG`, then the configuration file.
///
/// # Errors
/// If the filter cannot be understood.
pub(super) fn begin(config: &LogConfig, flag: Option<&str>, usual: &str) -> Outcome {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = flag.or(environment.as_deref()).or(config.filter.as_deref()).unwrap_or(usual);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("log filter {filter:?}: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// A panic is a line of the log like any other. Its message is told where it is a fixed text; one
/// that was put together may hold what somebody sent or stored.
fn panicked(info: &PanicHookInfo<'_>) {
    let message = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("…");
    let place = info.location().map(ToString::to_string);
    tracing::error!(place, message_text = message, "panic");
}
