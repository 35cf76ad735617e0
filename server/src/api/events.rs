//! Progress of long work as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;

/// How often it is looked whether something is new.
const PULSE: Duration = Duration::from_millis(250);
/// How often a silent stream shows that it lives.
const ALIVE: Duration = Duration::from_secs(10);

/// What is next of a stream of events.
enum Next<T> {
    Send(T),
    After(T),
}

/// The work, and the work again whenever something of it is new. `now` gives it as it is, by what it
/// was; nothing once it has ended, cannot be read, or the server stops.
pub(super) fn follow<T, F>(
    name: &'static str,
    first: T,
    now: impl Fn(T) -> F + Send + Sync + 'static,
) -> Response
where
    T: Clone + PartialEq + Serialize + Send + 'static,
    F: Future<Output = Option<T>> + Send,
{
    let now = std::sync::Arc::new(now);
    let events = stream::unfold(Next::Send(first), move |next| {
        let now = std::sync::Arc::clone(&now);
        async move {
            let work = match next {
                Next::Send(work) => work,
                Next::After(sent) => loop {
                    let found = now(sent.clone()).await?;
                    if found != sent {
                        break found;
                    }
                    tokio::time::sleep(PULSE).await;
                },
            };
            let event = Event::default().event(name).json_data(&work).ok()?;
            Some((Ok::<_, Infallible>(event), Next::After(work)))
        }
    });
    let alive = KeepAlive::new().interval(ALIVE);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Proxies must not collect it.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
