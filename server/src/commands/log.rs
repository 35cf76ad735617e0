//! What is logged, where to, in which form.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::Outcome;
use crate::config::{ConfigError, LogConfig, LogFormat};
use crate::traces::TraceLayer;

/// Logs to standard error, and collects traces, from here on. `usual` is the filter where nobody named
/// one.
///
/// # Errors
/// If the filter cannot be understood.
pub(super) fn begin(config: &LogConfig, traces: Option<TraceLayer>, usual: &str) -> Outcome {
    let filter = filter(config, usual)?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match config.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).boxed(),
    };
    // Each with a filter of its own: what is not logged is traced all the same.
    let traces = traces.map(|layer| layer.with_filter(filter_fn(TraceLayer::is_told)));
    tracing_subscriber::registry().with(log.with_filter(filter)).with(traces).init();
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
