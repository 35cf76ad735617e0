//! The accept loop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bounds::OwnLimits;
use super::connection::Connections;
use super::error::EdgeError;
use super::layers::layered;
use super::tls::Tls;
use crate::config::HttpConfig;
use crate::metrics::Metrics;

/// How long requests may take to finish once the server is told to stop.
const GRACE: Duration = Duration::from_secs(8);
/// Before the next try where the system has no more files or memory for connections.
const PAUSE: Duration = Duration::from_millis(500);

/// A server that has its address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: HttpConfig,
    tls: Option<Arc<Tls>>,
    metrics: Metrics,
}

impl Server {
    /// Takes an address, and reads the certificate if there is one.
    ///
    /// # Errors
    /// If the address is taken, or the certificate cannot be used.
    pub async fn bind(
        address: SocketAddr,
        config: &HttpConfig,
        metrics: Metrics,
    ) -> Result<Self, EdgeError> {
        let tls = config.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
        let failed = |source| EdgeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, config: config.clone(), tls, metrics })
    }

    /// Where it listens: `http://ADDRESS:PORT`, or `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop`, then lets requests finish for at most 8 seconds. `own` are the routes
    /// whose limits are not the configured ones.
    ///
    /// When as many connections are open as there may be, the next ones wait in the system's queue.
    /// Refusing them with an answer would cost what the limit is there to save, a handshake and a
    /// request each; and since idle and slow ones are closed, waiting ends.
    pub async fn serve(
        self,
        router: Router,
        own: &'static [OwnLimits],
        stop: impl Future<Output = ()>,
    ) {
        let router = layered(router, &self.config, own, &self.metrics);
        let places = Arc::new(Semaphore::new(self.config.connections));
        let connections = Connections::new(&self.config, self.tls, router, self.metrics);
        let connections = Arc::new(connections);
        let tracker = TaskTracker::new();
        let stopping = CancellationToken::new();
        // Whatever is still open when this future ends or is dropped.
        let cut = CancellationToken::new();
        let _cut = cut.clone().drop_guard();

        let mut stop = pin!(stop);
        loop {
            let next = async {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (accept(&self.listener).await, place)
            };
            let (stream, place) = tokio::select! {
                next = next => next,
                () = &mut stop => break,
            };
            let (connections, stopping, cut) =
                (Arc::clone(&connections), stopping.clone(), cut.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = connections.serve(stream, &stopping) => {}
                    () = cut.cancelled() => {}
                }
                drop(place);
            });
        }
        drop(self.listener);
        stopping.cancel();
        tracker.close();
        if tokio::time::timeout(GRACE, tracker.wait()).await.is_err() {
            let seconds = GRACE.as_secs();
            tracing::warn!(seconds, open = tracker.len(), "requests did not finish in time");
        }
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // A client that left before it was its turn, or a system without files or memory:
                // neither is a reason to end.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
