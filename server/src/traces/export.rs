//! Sends ended spans to the collector.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::span::Span;

/// Spans of one call.
const BATCH: usize = 512;
/// How long a span waits for others.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The collector's address.
    #[error("traces.endpoint: {0}")]
    Endpoint(String),
    /// A header; its value is not told.
    #[error("traces.headers.{0}: cannot be sent as a header")]
    Header(String),
    /// HTTP cannot be had.
    #[error("traces: {0}")]
    Http(#[from] reqwest::Error),
}

/// Sends what a [`super::TraceLayer`] collects.
#[derive(Debug)]
pub struct Exporter {
    http: Client,
    url: Url,
    resource: Value,
    spans: Receiver<Span>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    pub(super) fn new(
        endpoint: &str,
        headers: &BTreeMap<String, String>,
        service: &str,
        spans: Receiver<Span>,
    ) -> Result<Self, TracesError> {
        let wrong = |error: url::ParseError| TracesError::Endpoint(error.to_string());
        let mut url = Url::parse(endpoint).map_err(wrong)?;
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let wrong = || TracesError::Header(name.clone());
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            sent.insert(HeaderName::try_from(name).map_err(|_| wrong())?, value);
        }
        let http = Client::builder()
            .default_headers(sent)
            .timeout(PATIENCE)
            // The headers are for this address and no other.
            .redirect(redirect::Policy::none())
            .build()?;
        let text =
            |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let resource = json!({ "attributes": [
            text("service.name", service),
            text("service.version", stedi_openapi::VERSION),
        ] });
        Ok(Self { http, url, resource, spans, dropped: Arc::default() })
    }

    /// Spans that could not be sent, because too many waited.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Sends until it is told to stop, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut was_well = true;
        loop {
            let got = tokio::select! {
                got = self.spans.recv_many(&mut batch, BATCH) => got,
                () = stop.cancelled() => 0,
            };
            if got > 0 && batch.len() < BATCH {
                // Others may end soon, and go by the same call.
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => {}
                }
            }
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let sent = self.send(&batch).await;
            // Told once, not with every batch.
            match &sent {
                Err(error) if was_well => {
                    tracing::warn!(%error, spans = batch.len(), "traces cannot be sent");
                }
                Ok(()) if !was_well => tracing::info!("traces can be sent again"),
                _ => {}
            }
            was_well = sent.is_ok();
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(spans = dropped, "traces were dropped: too many waited");
            }
            batch.clear();
        }
    }

    async fn send(&self, spans: &[Span]) -> Result<(), reqwest::Error> {
        let spans: Vec<Value> = spans.iter().map(Span::json).collect();
        let body = json!({ "resourceSpans": [{
            "resource": self.resource,
            "scopeSpans": [{ "scope": { "name": "stedi-server" }, "spans": spans }],
        }] });
        let answer = self.http.post(self.url.clone()).json(&body).send().await;
        // The address may hold a secret.
        answer.and_then(reqwest::Response::error_for_status).map(drop).map_err(|e| e.without_url())
    }
}
