//! Chunks that come over the network, as bytes that another thread reads.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Chunks that wait to be read.
const QUEUE: usize = 8;

/// Where chunks go in.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<Chunk>);

/// Where bytes come out: ends when the feed says so. A feed that is dropped before has broken off,
/// which is an error and never an end.
#[derive(Debug)]
pub struct Fed {
    receive: mpsc::Receiver<Chunk>,
    chunk: Bytes,
    ended: bool,
}

#[derive(Debug)]
enum Chunk {
    Data(Bytes),
    End,
}

/// A feed and its reader.
pub fn feed() -> (Feed, Fed) {
    let (send, receive) = mpsc::channel(QUEUE);
    (Feed(send), Fed { receive, chunk: Bytes::new(), ended: false })
}

impl Feed {
    /// Waits until there is room; false if nobody reads any more.
    pub async fn push(&self, chunk: Bytes) -> bool {
        self.0.send(Chunk::Data(chunk)).await.is_ok()
    }

    /// That was all of it.
    pub async fn end(self) {
        // Nobody reads any more: then nobody asks for the end.
        let _ = self.0.send(Chunk::End).await;
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            match self.receive.blocking_recv() {
                Some(Chunk::Data(chunk)) => self.chunk = chunk,
                Some(Chunk::End) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let length = self.chunk.len().min(buffer.len());
        self.chunk.split_to(length).copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut fed: Fed) -> io::Result<Vec<u8>> {
        let thread = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            fed.read_to_end(&mut bytes).map(|_| bytes)
        });
        thread.await.unwrap()
    }

    #[tokio::test]
    async fn gives_what_was_pushed_and_tells_an_end_from_a_break() {
        let (feed, fed) = feed();
        let reading = tokio::spawn(read(fed));
        for chunk in ["ab", "", "cde"] {
            assert!(feed.push(Bytes::from_static(chunk.as_bytes())).await);
        }
        feed.end().await;
        assert_eq!(reading.await.unwrap().unwrap(), b"abcde");

        let (feed, fed) = super::feed();
        assert!(feed.push(Bytes::from_static(b"ab")).await);
        drop(feed);
        assert_eq!(read(fed).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
