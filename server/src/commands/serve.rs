//! `stedi-server serve`: the service.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Common, Outcome};
use crate::api::router;
use crate::app::App;

/// How long requests may take to finish once the server is told to stop.
const GRACE: Duration = Duration::from_secs(8);

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    common: Common,
}

impl Serve {
    pub async fn run(self) -> Outcome {
        let config = self.common.config()?;
        let listener = listen(config.listen).await?;
        let app = App::open(&config).await?;
        serve(listener, Arc::new(app)).await
    }
}

/// Takes the address, before any work is done for it.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Serves until SIGTERM or an interrupt, then lets requests finish for a while.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>) -> Outcome {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "serving the lake at {} on http://{}",
        app.lake.location(),
        listener.local_addr()?
    )?;
    out.flush()?;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut stopped = stopping.clone();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        // An error would mean that the sender is gone, and with it whoever could stop the server.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let mut server = tokio::spawn(async move { server.await });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = &mut server => return Ok(outcome??),
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    match tokio::time::timeout(GRACE, server).await {
        Ok(outcome) => Ok(outcome??),
        Err(_) => {
            tracing::warn!(seconds = GRACE.as_secs(), "requests did not finish in time");
            Ok(())
        }
    }
}
