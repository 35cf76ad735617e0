//! One connection, from its first byte to its last.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::activity::Activity;
use super::tls::Tls;
use crate::config::HttpConfig;
use crate::metrics::Metrics;

/// Between two questions to a quiet HTTP/2 client whether it is still there, and for its answer.
const PING: Duration = Duration::from_secs(20);
/// For a client to leave that was told to.
const FAREWELL: Duration = Duration::from_secs(5);
/// The least that hyper's HTTP/1.1 parser works with.
const LEAST_BUFFER: usize = 8 * 1024;

/// How every connection is served.
#[derive(Debug)]
pub(super) struct Connections {
    http: Builder<TokioExecutor>,
    router: Router,
    tls: Option<Arc<Tls>>,
    metrics: Metrics,
    write: Duration,
    header: Duration,
    idle: Duration,
}

impl Connections {
    pub fn new(
        config: &HttpConfig,
        tls: Option<Arc<Tls>>,
        router: Router,
        metrics: Metrics,
    ) -> Self {
        let header = Duration::from_secs(config.header_seconds);
        // Heads somewhat over the limit get as far as the layers, which say what is wrong; beyond
        // that hyper answers 431 by itself, without a body.
        let room = config.header_bytes.saturating_mul(2);
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(header)
            // A client that has gone has gone: what it asked for is dropped at once.
            .half_close(false)
            .max_buf_size(usize::try_from(room).unwrap_or(usize::MAX).max(LEAST_BUFFER));
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(room)
            .max_concurrent_streams(config.streams)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        Self {
            http,
            router,
            tls,
            metrics,
            write: Duration::from_secs(config.write_seconds),
            header,
            idle: Duration::from_secs(config.idle_seconds),
        }
    }

    /// Serves a connection until it ends. Told to stop, it finishes what is under way.
    pub async fn serve(&self, stream: TcpStream, stop: &CancellationToken) {
        let _open = self.metrics.connection_begins();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection without TCP_NODELAY");
        }
        let peer = stream.peer_addr().ok().map(ConnectInfo);
        let Some(tls) = &self.tls else { return self.http(stream, peer, stop).await };
        match tokio::time::timeout(tls.patience(), tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, peer, stop).await,
            // Whoever does not speak TLS: no more than a line for who looks for it.
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake not done in time"),
        }
    }

    async fn http<S>(
        &self,
        stream: S,
        peer: Option<ConnectInfo<SocketAddr>>,
        stop: &CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::default();
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            // Kept until the last byte of the answer: `observe` takes it out.
            request.extensions_mut().insert(activity.begin());
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            self.router.clone().call(request)
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            outcome = connection.as_mut() => return ended(outcome),
            // Who asks for a large answer and takes nothing of it would hold its memory for ever.
            () = activity.stalled(self.write) => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            () = activity.idle(self.header, self.idle) => {
                connection.as_mut().graceful_shutdown();
                // Requests that were on their way are still answered.
                return until(activity.idle(FAREWELL, FAREWELL), connection).await;
            }
        }
        ended(connection.await);
    }
}

/// Drives a connection to its end, or until something else happens.
async fn until<E: std::fmt::Display>(
    other: impl Future<Output = ()>,
    connection: impl Future<Output = Result<(), E>>,
) {
    tokio::select! {
        outcome = connection => ended(outcome),
        () = other => {}
    }
}

/// A connection that broke is the client's affair, or the network's.
fn ended<E: std::fmt::Display>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}
