//! Server-sent events (WHATWG HTML, section 9.2), as far as this service uses them: each is an
//! object as JSON.

use futures::{Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// Bytes of one event; longer ones are not of this service.
const LONGEST: usize = 16 * 1024 * 1024;

/// The data of the events in a body. A body that breaks off is an error.
pub(crate) fn events<T, B, E>(
    body: impl Stream<Item = Result<B, E>> + Unpin,
    failed: impl Fn(E) -> ClientError,
) -> impl Stream<Item = Result<T, ClientError>>
where
    T: DeserializeOwned,
    B: AsRef<[u8]>,
{
    let body = body.map_err(failed);
    futures::stream::try_unfold((body, Vec::new()), async |(mut body, mut held)| {
        loop {
            if let Some(event) = first(&mut held) {
                match data(&event) {
                    Some(data) => {
                        return Ok(Some((serde_json::from_slice(&data)?, (body, held))));
                    }
                    None => continue,
                }
            }
            match body.next().await.transpose()? {
                None => return Ok(None),
                Some(chunk) => held.extend_from_slice(chunk.as_ref()),
            }
            if held.len() > LONGEST {
                return Err(ClientError::Event(held.len()));
            }
        }
    })
}

/// Takes the first whole event out.
fn first(held: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = held.windows(2).position(|two| two == b"\n\n")?;
    let rest = held.split_off(end + 2);
    Some(std::mem::replace(held, rest))
}

/// The data of an event; a comment, which keeps the connection alive, has none.
fn data(event: &[u8]) -> Option<Vec<u8>> {
    let lines = event.split(|byte| *byte == b'\n');
    let data: Vec<&[u8]> = lines
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(|data| data.strip_prefix(b" ").unwrap_or(data))
        .collect();
    (!data.is_empty()).then(|| data.join(&b'\n'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_chunks() {
        let chunks = [": alive\n\nevent: x\nda", "ta: {\"a\"", ":1}\n", "\ndata: {\ndata: }\n\nda"];
        let body = futures::stream::iter(chunks.map(Ok::<_, std::io::Error>));
        let wrong = |source| ClientError::File { name: String::new(), source };
        let read = events::<serde_json::Value, _, _>(body, wrong).try_collect::<Vec<_>>();
        let events = futures::executor::block_on(read).unwrap();
        assert_eq!(events, [serde_json::json!({"a": 1}), serde_json::json!({})]);
    }
}
