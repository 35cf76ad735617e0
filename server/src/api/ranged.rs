//! Bytes of one object of the lake over HTTP: as a whole or a range of them, as the store gives them.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};

use super::error::ApiError;
use super::range::Wanted;
use super::redirect::Redirect;
use crate::lake::{Lake, ObjectBytes};
use crate::ledger::audit::{End, Open, Outcome};

/// The media type of Parquet files.
pub(super) const PARQUET: &str = "application/vnd.apache.parquet";
/// RFC 9530, section 3.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Asked before each part leaves whether it may.
pub(super) type Gate = Box<dyn Fn() -> BoxFuture<'static, Result<(), ApiError>> + Send + Sync>;

/// Bytes that are not all given; the connection ends with it.
#[derive(Debug, thiserror::Error)]
#[error("the file is not whole")]
struct Broken;

/// Where bytes are.
pub(super) enum Source {
    /// In an object of a lake: its path below the root.
    Object(Lake, String),
    /// Here.
    Memory(Bytes),
}

/// An object that somebody asks for.
pub(super) struct Ranged {
    /// Where its bytes are.
    pub source: Source,
    /// How many bytes it has.
    pub bytes: u64,
    /// The same only for the same bytes, without quotes: ASCII that needs no escape.
    pub tag: String,
    /// The digest of all its bytes, where that is known.
    pub sha256: Option<[u8; 32]>,
    /// What it is.
    pub media_type: &'static str,
    /// Whether it may still be given.
    pub gate: Option<Gate>,
    /// The store may give it instead.
    pub redirect: Option<Redirect>,
    /// The record of its being given: one with its bytes where they leave at once, otherwise with a
    /// beginning and an end.
    pub open: Option<Open>,
}

impl Ranged {
    /// The answer to GET or HEAD with these headers: 200, 206 or 304.
    ///
    /// # Errors
    /// What the gate says; [`ApiError::NoSuchBytes`] for a range beyond the end,
    /// [`ApiError::NotFound`] if there is no such object.
    pub async fn answer(
        mut self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, ApiError> {
        let open = self.open.take();
        if let Some(redirect) = self.redirect.take()
            && let Source::Object(lake, path) = &self.source
            && *method == Method::GET
            && Wanted::of(headers, &self.tag, self.bytes) != Wanted::Known
        {
            // Nobody tells how much of it will be fetched.
            ended(open, End { bytes_out: Some(self.bytes), ..End::ok() }).await?;
            redirect.begin().await?;
            self.may().await?;
            return redirect.answer(lake, path).await;
        }
        match self.begin(method, headers).await {
            // The same head with no or all of its bytes.
            Ok((head, None)) => {
                ended(open, End::ok()).await?;
                Ok(head)
            }
            Ok((head, Some(parts))) => self.give(head, parts, open).await,
            Err(error) => {
                ended(open, End::other(Outcome::Failed, error.code().name())).await?;
                Err(error)
            }
        }
    }

    /// The head of the answer, and the bytes that belong to it.
    async fn begin(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(Response, Option<Parts>), ApiError> {
        self.may().await?;
        // A range is asked for with GET only (RFC 9110, section 14.2).
        let mut wanted = Wanted::of(headers, &self.tag, self.bytes);
        if *method == Method::HEAD && wanted != Wanted::Known {
            wanted = Wanted::Whole;
        }
        let mut head = Response::new(Body::empty());
        let out = head.headers_mut();
        out.insert(ETAG, text(format!("\"{}\"", self.tag))?);
        out.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let range = match wanted {
            Wanted::None => return Err(ApiError::NoSuchBytes(self.bytes)),
            Wanted::Known => {
                *head.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok((head, None));
            }
            Wanted::Whole => 0..self.bytes,
            Wanted::Part(range) => {
                let (first, last) = (range.start, range.end - 1);
                out.insert(CONTENT_RANGE, text(format!("bytes {first}-{last}/{}", self.bytes))?);
                *head.status_mut() = StatusCode::PARTIAL_CONTENT;
                range
            }
        };
        let out = head.headers_mut();
        out.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        out.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        if let Some(digest) = &self.sha256 {
            out.insert(REPR_DIGEST, text(format!("sha-256=:{}:", STANDARD.encode(digest)))?);
        }
        if *method == Method::HEAD || range.is_empty() {
            return Ok((head, None));
        }
        let left = range.end - range.start;
        let parts = match &self.source {
            Source::Object(lake, path) => {
                lake.read_range(path, range).await?.ok_or(ApiError::NotFound)?
            }
            Source::Memory(bytes) => {
                let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
                let range = place(range.start)..place(range.end).min(bytes.len());
                let part = (range.start <= range.end).then(|| bytes.slice(range));
                stream::iter(part).map(Ok).boxed()
            }
        };
        Ok((head, Some(Parts { parts, left })))
    }

    /// The whole answer.
    async fn give(
        self,
        head: Response,
        mut parts: Parts,
        mut open: Option<Open>,
    ) -> Result<Response, ApiError> {
        let first = match parts.next().await {
            Ok(first) => first,
            Err(error) => {
                ended(open, End::other(Outcome::Failed, error.code().name())).await?;
                return Err(error);
            }
        };
        let (head, _) = head.into_parts();
        if parts.left == 0 {
            count(open.as_ref(), &first);
            ended(open, End::ok()).await?;
            // To record it may have taken a while.
            self.may().await?;
            return Ok(Response::from_parts(head, Body::from(first)));
        }
        if let Some(open) = &mut open {
            open.leave().await?;
        }
        let gate = self.gate;
        let state = Some((Some(first), parts, gate, open));
        let body = stream::try_unfold(state, async |state| {
            let Some((first, mut parts, gate, open)) = state else { return Ok(None) };
            match next(first, &mut parts, gate.as_ref(), open).await {
                Ok((part, open)) => {
                    let rest = (parts.left > 0).then_some((None, parts, gate, open));
                    Ok(Some((part, rest)))
                }
                Err(broken) => Err(broken),
            }
        });
        Ok(Response::from_parts(head, Body::from_stream(body.boxed())))
    }

    async fn may(&self) -> Result<(), ApiError> {
        match &self.gate {
            Some(gate) => gate().await,
            None => Ok(()),
        }
    }
}

/// The part that leaves now, and the record if it is not the last one.
async fn next(
    first: Option<Bytes>,
    parts: &mut Parts,
    gate: Option<&Gate>,
    open: Option<Open>,
) -> Result<(Bytes, Option<Open>), Broken> {
    let part = async {
        let part = match first {
            Some(first) => first,
            None => parts.next().await?,
        };
        if let Some(gate) = gate {
            gate().await?;
        }
        Ok::<Bytes, ApiError>(part)
    };
    match part.await {
        Ok(part) if parts.left > 0 => {
            count(open.as_ref(), &part);
            Ok((part, open))
        }
        // The last part says that all is there: not before that is on record.
        Ok(part) => {
            count(open.as_ref(), &part);
            ended(open, End::ok()).await.map_err(|_| Broken)?;
            Ok((part, None))
        }
        Err(error) => {
            tracing::info!(code = %error.code(), %error, "a file broke off");
            // Recorded or not, it is broken.
            let _ = ended(open, End::other(Outcome::Failed, error.code().name())).await;
            Err(Broken)
        }
    }
}

/// The bytes of an answer.
struct Parts {
    parts: ObjectBytes,
    /// Bytes that are still to come.
    left: u64,
}

impl Parts {
    async fn next(&mut self) -> Result<Bytes, ApiError> {
        let part = match self.parts.next().await {
            Some(part) => part?,
            None => return Err(ApiError::Broken),
        };
        self.left = self.left.checked_sub(part.len() as u64).ok_or(ApiError::Broken)?;
        Ok(part)
    }
}

fn count(open: Option<&Open>, part: &Bytes) {
    if let Some(open) = open {
        open.counts().add(0, part.len() as u64);
    }
}

async fn ended(open: Option<Open>, end: End) -> Result<(), ApiError> {
    match open {
        Some(open) => Ok(open.end(end).await?),
        None => Ok(()),
    }
}

fn text(value: String) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(value).map_err(|error| ApiError::Task(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::body::to_bytes;
    use futures::FutureExt;

    use super::*;
    use crate::lake::{Location, SessionLimits};

    /// More than a few parts.
    const BYTES: usize = 3 * 1024 * 1024 + 7;

    /// A lake with one object, in a folder that goes with it.
    struct Site {
        folder: std::path::PathBuf,
        lake: Lake,
        object: Vec<u8>,
    }

    impl Site {
        async fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("stedi-{}", uuid::Uuid::new_v4()));
            let limits = SessionLimits {
                memory: 1 << 20,
                spill_dir: folder.join("spill"),
                spill: 1 << 20,
                partitions: 1,
                staleness: Duration::ZERO,
            };
            let place = folder.join("lake");
            std::fs::create_dir_all(&place).unwrap();
            let location = Location::parse(place.to_str().unwrap()).unwrap();
            let lake = Lake::open(location, &limits).await.unwrap();
            let object: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
            lake.put_object("a/file", object.clone()).await.unwrap();
            Self { folder, lake, object }
        }

        /// The object, behind a gate that opens so often.
        fn ranged(&self, opens: usize) -> Ranged {
            let asked = Arc::new(AtomicUsize::new(0));
            Ranged {
                source: Source::Object(self.lake.clone(), "a/file".to_owned()),
                bytes: BYTES as u64,
                tag: "tag".to_owned(),
                sha256: None,
                media_type: PARQUET,
                gate: Some(Box::new(move || {
                    let open = asked.fetch_add(1, Ordering::Relaxed) < opens;
                    async move { if open { Ok(()) } else { Err(ApiError::NotFound) } }.boxed()
                })),
                redirect: None,
                open: None,
            }
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn range(text: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(axum::http::header::RANGE, HeaderValue::from_static(text));
        headers
    }

    #[tokio::test]
    async fn gives_what_is_there_and_in_parts() {
        let site = Site::new().await;
        let (whole, none) = (usize::MAX, HeaderMap::new());
        let answer = site.ranged(whole).answer(&Method::GET, &none).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_LENGTH], BYTES.to_string());
        assert_eq!(to_bytes(answer.into_body(), BYTES).await.unwrap(), site.object);
        for (text, expected) in [
            ("bytes=1000000-2999999", 1_000_000..3_000_000),
            ("bytes=-10", BYTES - 10..BYTES),
            ("bytes=262144-", 262_144..BYTES),
        ] {
            let answer = site.ranged(whole).answer(&Method::GET, &range(text)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            let body = to_bytes(answer.into_body(), BYTES).await.unwrap();
            assert_eq!(body, site.object[expected], "{text}");
        }
        let head = site.ranged(whole).answer(&Method::HEAD, &range("bytes=0-1")).await.unwrap();
        assert_eq!(head.headers()[CONTENT_LENGTH], BYTES.to_string());
        // What is shorter than it is said to be, and what is not there.
        let longer = Ranged { bytes: BYTES as u64 + 1, ..site.ranged(whole) };
        let longer = longer.answer(&Method::GET, &none).await;
        assert!(matches!(longer, Err(ApiError::Lake(_))));
        let source = Source::Object(site.lake.clone(), "a/nothing".to_owned());
        let nothing = Ranged { source, ..site.ranged(whole) };
        assert!(matches!(nothing.answer(&Method::GET, &none).await, Err(ApiError::NotFound)));
    }

    #[tokio::test]
    async fn breaks_off_when_the_gate_closes() {
        let site = Site::new().await;
        let none = HeaderMap::new();
        let closed = site.ranged(0).answer(&Method::GET, &none).await;
        assert!(matches!(closed, Err(ApiError::NotFound)));
        assert!(site.ranged(0).answer(&Method::HEAD, &none).await.is_err());
        for opens in [1, 3, 5] {
            let answer = site.ranged(opens).answer(&Method::GET, &none).await.unwrap();
            let mut parts = answer.into_body().into_data_stream();
            let (mut given, mut broken) = (Vec::new(), false);
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => given.extend(part),
                    Err(_) => broken = true,
                }
            }
            assert!(broken && given.len() < BYTES, "{}", given.len());
            // The first look is before the answer begins; each of the others lets one part go.
            assert_eq!(given, site.object[..(opens - 1) * 512 * 1024]);
        }
    }
}
