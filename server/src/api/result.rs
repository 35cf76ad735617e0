//! The body of a result: its bytes as they come, and an end that tells a whole one from a break.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc::Receiver;

use super::error::ApiError;
use super::recorded::Recorded;
use crate::ledger::Reading;
use crate::query::{Answer, Format, Part, QueryError};

/// A result that broke after its first bytes; the connection ends with it.
#[derive(Debug, thiserror::Error)]
#[error("the result is not whole")]
struct Broken;

/// What comes next.
enum Next {
    Bytes(Bytes, u64, Rest),
    More(Rest),
    Trailers(&'static str),
    Done,
}

/// The rest of an answer, and the record of its statement.
struct Rest {
    parts: Receiver<Part>,
    recorded: Recorded,
    reading: Reading,
}

/// The body of an answer. It is recorded before its first byte, or with its end if that is there
/// already. No byte leaves that may be a row of somebody whose consent was withdrawn meanwhile.
pub(super) async fn body(
    answer: Answer,
    format: Format,
    mut recorded: Recorded,
    reading: Reading,
) -> Result<Body, ApiError> {
    match answer {
        Answer::Whole(bytes, totals) => {
            if let Err(error) = reading.still().await {
                return refused(error.into(), recorded).await;
            }
            recorded.left(totals.rows, bytes.len());
            recorded.done(totals).await?;
            // Recording it may have taken a while.
            reading.still().await.map_err(QueryError::from)?;
            Ok(Body::from(bytes))
        }
        Answer::Begun(first, rows, parts) => {
            recorded.leave().await?;
            if let Err(error) = reading.still().await {
                return refused(error.into(), recorded).await;
            }
            let next = Next::Bytes(first, rows, Rest { parts, recorded, reading });
            let frames = stream::unfold(next, move |next| next.frame(format));
            Ok(Body::new(StreamBody::new(frames)))
        }
    }
}

impl Next {
    async fn frame(self, format: Format) -> Option<(Result<Frame<Bytes>, Broken>, Self)> {
        match self {
            Self::Bytes(bytes, rows, rest) => rest.give(bytes, rows, format).await,
            Self::More(mut rest) => match rest.parts.recv().await {
                Some(Part::Bytes(bytes, rows)) => rest.give(bytes, rows, format).await,
                // The last chunk says that all is there: not before that is on record.
                Some(Part::End(totals, None)) => match rest.recorded.done(totals).await {
                    Ok(()) => Some((Ok(trailers("ok")), Self::Done)),
                    Err(_) => Some((Err(Broken), Self::Done)),
                },
                Some(Part::End(_, Some(error))) => failed(error, format, rest.recorded).await,
                None => Some((Err(Broken), Self::Done)),
            },
            Self::Trailers(outcome) => Some((Ok(trailers(outcome)), Self::Done)),
            Self::Done => None,
        }
    }
}

impl Rest {
    /// Hands bytes over, if they may still be given.
    async fn give(
        self,
        bytes: Bytes,
        rows: u64,
        format: Format,
    ) -> Option<(Result<Frame<Bytes>, Broken>, Next)> {
        if let Err(error) = self.reading.still().await {
            return failed(error.into(), format, self.recorded).await;
        }
        self.recorded.left(rows, bytes.len());
        Some((Ok(Frame::data(bytes)), Next::More(self)))
    }
}

/// Nothing has left yet.
async fn refused(error: QueryError, recorded: Recorded) -> Result<Body, ApiError> {
    recorded.failed(&error).await?;
    Err(error.into())
}

async fn failed(
    error: QueryError,
    format: Format,
    recorded: Recorded,
) -> Option<(Result<Frame<Bytes>, Broken>, Next)> {
    let kept = recorded.failed(&error).await;
    let error = ApiError::Query(error);
    tracing::info!(code = %error.code(), "a result broke off");
    match format {
        Format::Ndjson if kept.is_ok() => {
            let line = serde_json::json!({ "error": error.problem() });
            let line = Bytes::from(format!("{line}\n"));
            Some((Ok(Frame::data(line)), Next::Trailers(error.code().name())))
        }
        _ => Some((Err(Broken), Next::Done)),
    }
}

fn trailers(outcome: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("stedi-outcome", HeaderValue::from_static(outcome));
    Frame::trailers(trailers)
}
