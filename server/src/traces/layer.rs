//! Collects spans as they come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use tokio::sync::mpsc::Sender;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::span::{Seen, Span};

/// Whose spans are told: those of libraries say things that nobody here has looked at.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// The layer of the subscriber.
#[derive(Debug)]
pub struct TraceLayer {
    sender: Sender<Span>,
    dropped: Arc<AtomicU64>,
    percent: u64,
}

/// What is kept with a span: nothing for one that is not told, and then none below it is.
struct Kept(Option<Span>);

impl TraceLayer {
    pub(super) fn new(sender: Sender<Span>, dropped: Arc<AtomicU64>, percent: u64) -> Self {
        Self { sender, dropped, percent }
    }

    /// Whether a span or event is one of ours.
    pub fn is_told(metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OWN) && *metadata.level() <= Level::INFO
    }

    /// A span that begins a trace, or goes on with that of the request.
    fn root(&self, name: &'static str, seen: Seen) -> Option<Span> {
        let mut chance = rand::rng();
        // An id of zeros is none.
        let id = chance.random_range(1..=u64::MAX);
        match seen.from {
            Some(from) if !from.sampled => None,
            Some(from) => Some(Span::begin(name, from.trace, id, Some(from.span), seen)),
            None if chance.random_range(0..100) >= self.percent => None,
            None => Some(Span::begin(name, chance.random_range(1..=u128::MAX), id, None, seen)),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        let name = attributes.metadata().name();
        let above = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let kept = extensions.get::<Kept>()?;
            Some(kept.0.as_ref().map(|above| (above.trace, above.id)))
        });
        let told = match above {
            Some(Some((trace, parent))) => {
                let id = rand::rng().random_range(1..=u64::MAX);
                Some(Span::begin(name, trace, id, Some(parent), seen))
            }
            Some(None) => None,
            None => self.root(name, seen),
        };
        span.extensions_mut().insert(Kept(told));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Kept(Some(told))) = span.extensions_mut().get_mut::<Kept>() {
            let mut seen = Seen::default();
            values.record(&mut seen);
            told.seen.extend(seen);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(Kept(Some(told))) = span.extensions_mut().get_mut::<Kept>() {
            let mut seen = Seen::default();
            event.record(&mut seen);
            told.seen.extend(seen);
            told.failed |= *event.metadata().level() == Level::ERROR;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let kept = span.extensions_mut().remove::<Kept>();
        if let Some(Kept(Some(mut told))) = kept {
            told.end();
            if self.sender.try_send(told).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
