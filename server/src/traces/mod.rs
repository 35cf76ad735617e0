//! Traces for OpenTelemetry: spans of this server as OTLP/HTTP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/>). Off unless a collector is named.
//!
//! What leaves is decided in one place, [`span::ATTRIBUTES`]: ids, routes, names of tables and counts.
//! A field of a span that is not named there stays here, so that no principal, no statement and
//! no value of a row can get into a trace by accident.

mod export;
mod layer;
mod parent;
mod span;

use tokio::sync::mpsc;

use crate::config::TracesConfig;

pub use export::{Exporter, TracesError};
pub use layer::TraceLayer;

/// Ended spans that wait to be sent; further ones are dropped and counted.
const WAITING: usize = 4096;

/// The layer that collects spans and what sends them; `None` without a collector.
///
/// # Errors
/// If the endpoint or a header cannot be used.
pub fn traces(config: &TracesConfig) -> Result<Option<(TraceLayer, Exporter)>, TracesError> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let (sender, receiver) = mpsc::channel(WAITING);
    let exporter = Exporter::new(endpoint, &config.headers, &config.service, receiver)?;
    let layer = TraceLayer::new(sender, exporter.dropped(), config.sample_percent);
    Ok(Some((layer, exporter)))
}
