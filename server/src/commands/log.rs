//! What is logged, where to, in which form.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use super::Outcome;
use crate::config::{ConfigError, LogConfig, LogFormat};

/// Logs to standard error from here on. `usual` is the filter where nobody named one.
///
/// # Errors
/// If the filter cannot be understood.
pub(super) fn begin(config: &LogConfig, usual: &str) -> Outcome {
    let filter = filter(config, usual)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Which events are logged.
///
/// # Errors
/// If the filter cannot be understood.
pub(super) fn filter(config: &LogConfig, usual: &str) -> Result<EnvFilter, ConfigError> {
    let filter = config.filter.as_deref().unwrap_or(usual);
    EnvFilter::try_new(filter)
        .map_err(|error| ConfigError::value("log.filter", format!("{filter:?}: {error}")))
}

/// A panic is a line of the log like any other. Its message is told where it is a fixed text; one
/// that was put together may hold what somebody sent or stored.
fn panicked(info: &PanicHookInfo<'_>) {
    let message = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("…");
    let place = info.location().map(ToString::to_string);
    tracing::error!(place, message_text = message, "panic");
}
