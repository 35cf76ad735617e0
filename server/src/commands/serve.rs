//! `stedi-server serve`: the service.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use super::stop::Stop;
use super::{Common, Outcome};
use crate::api::{ApiState, router};
use crate::app::{App, AppError, verifier};
use crate::config::Config;

/// How long requests may take to finish once the server is told to stop.
const GRACE: Duration = Duration::from_secs(8);

/// How long the audit may take to append its last records. What it does not append stays in its
/// journal.
const AUDIT_GRACE: Duration = Duration::from_millis(1500);

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
        let mut stop = Stop::new()?;
        let state = tokio::select! {
            state = open(&config) => state?,
            () = stop.told() => return Ok(()),
        };
        serve(listener, state, stop).await
    }
}

async fn open(config: &Config) -> Result<ApiState, AppError> {
    let app = Arc::new(App::open(config).await?);
    let verifier = Arc::new(verifier(config).await?);
    Ok(ApiState { app, verifier })
}

/// Takes the address, before any work is done for it.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Serves until SIGTERM or an interrupt, then lets requests finish for a while.
pub(super) async fn serve(listener: TcpListener, state: ApiState, mut told: Stop) -> Outcome {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "serving the lake at {} on http://{}",
        state.app.lake.location(),
        listener.local_addr()?
    )?;
    out.flush()?;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut stopped = stopping.clone();
    let app = Arc::clone(&state.app);
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        // An error would mean that the sender is gone, and with it whoever could stop the server.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let mut server = tokio::spawn(async move { server.await });
    tokio::select! {
        outcome = &mut server => return Ok(outcome??),
        () = told.told() => {}
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    let outcome = tokio::time::timeout(GRACE, server).await;
    app.audit.close(AUDIT_GRACE).await;
    match outcome {
        Ok(outcome) => Ok(outcome??),
        Err(_) => {
            tracing::warn!(seconds = GRACE.as_secs(), "requests did not finish in time");
            Ok(())
        }
    }
}
