//! The HTTP edge: what connections and requests may cost, what every answer has in common.

mod answers;
mod connections;
mod log;
mod requests;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use stedi_server::config::HttpConfig;
use stedi_server::edge::{OwnLimits, Server};
use stedi_server::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A router of the test's own behind the edge.
struct Edge {
    url: String,
    address: SocketAddr,
    metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Edge {
    async fn start(router: Router, config: HttpConfig) -> Self {
        Self::with(router, config, &[]).await
    }

    async fn with(router: Router, config: HttpConfig, own: &'static [OwnLimits]) -> Self {
        let metrics = Metrics::new();
        let any = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(any, &config, metrics.clone()).await.unwrap();
        let url = server.url();
        let address = url.rsplit('/').next().unwrap().parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(router, own, async {
            stopped.await.ok();
        }));
        Self { url, address, metrics, stop: Some(stop), task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own; all that comes back until the server closes it.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may have closed it before all is sent.
        let _ = stream.write_all(bytes).await;
        all(&mut stream).await
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What comes until the other side closes, within half a minute.
async fn all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    // A reset after the last byte is a way to close too.
    let _ = read.expect("the server does not close the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for something to become true, for at most ten seconds.
async fn becomes_true(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so: {what}");
}
