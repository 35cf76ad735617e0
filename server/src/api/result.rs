//! The body of a result: its bytes as they come, and an end that tells a whole one from a break.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc::Receiver;

use super::error::ApiError;
use crate::query::{Answer, Format, Part, QueryError};

/// A result that broke after its first bytes; the connection ends with it.
#[derive(Debug, thiserror::Error)]
#[error("the result is not whole")]
struct Broken;

/// What comes next.
enum Next {
    Bytes(Bytes, Receiver<Part>),
    More(Receiver<Part>),
    Trailers(&'static str),
    Done,
}

/// The body of an answer.
pub(super) fn body(answer: Answer, format: Format) -> Body {
    match answer {
        Answer::Whole(bytes, _) => Body::from(bytes),
        Answer::Begun(first, rest) => {
            let frames = stream::unfold(Next::Bytes(first, rest), move |next| next.frame(format));
            Body::new(StreamBody::new(frames))
        }
    }
}

impl Next {
    async fn frame(self, format: Format) -> Option<(Result<Frame<Bytes>, Broken>, Self)> {
        match self {
            Self::Bytes(bytes, rest) => Some((Ok(Frame::data(bytes)), Self::More(rest))),
            Self::More(mut rest) => match rest.recv().await {
                Some(Part::Bytes(bytes)) => Some((Ok(Frame::data(bytes)), Self::More(rest))),
                Some(Part::End(_, None)) => Some((Ok(trailers("ok")), Self::Done)),
                Some(Part::End(_, Some(error))) => failed(error, format),
                None => Some((Err(Broken), Self::Done)),
            },
            Self::Trailers(outcome) => Some((Ok(trailers(outcome)), Self::Done)),
            Self::Done => None,
        }
    }
}

fn failed(error: QueryError, format: Format) -> Option<(Result<Frame<Bytes>, Broken>, Next)> {
    let error = ApiError::Query(error);
    tracing::info!(code = %error.code(), "a result broke off");
    match format {
        Format::Ndjson => {
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
