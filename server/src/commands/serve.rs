//! `stedi-server serve`: the service.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::stop::Stop;
use super::{Common, Outcome};
use crate::api::{ApiState, OWN_LIMITS, metrics_router, router};
use crate::app::{App, AppError, verifier};
use crate::config::{Config, HttpConfig};
use crate::edge::{EdgeError, Server};
use crate::metrics::Metrics;

/// How long leaving statements to others may take.
const LEAVE: Duration = Duration::from_secs(1);

/// How often it is looked for what need not be remembered any more.
const SWEEP: Duration = Duration::from_secs(3600);

/// How long the audit may take to append its last records. What it does not append stays in its
/// journal.
const AUDIT_GRACE: Duration = Duration::from_millis(1500);

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub common: Common,
}

pub(super) async fn run(config: Config) -> Outcome {
    let metrics = Metrics::new();
    let listening = Listening::bind(&config, &metrics).await?;
    let mut stop = Stop::new()?;
    let state = tokio::select! {
        state = open(&config, metrics) => state?,
        () = stop.told() => return Ok(()),
    };
    listening.serve(state, stop).await
}

async fn open(config: &Config, metrics: Metrics) -> Result<ApiState, AppError> {
    let app = Arc::new(App::open_with(config, metrics).await?);
    let verifier = Arc::new(verifier(config).await?);
    Ok(ApiState { app, verifier })
}

/// The addresses, taken before any work is done for them.
pub(super) struct Listening {
    service: Server,
    /// For metrics alone.
    metrics: Option<Server>,
}

impl Listening {
    pub async fn bind(config: &Config, metrics: &Metrics) -> Result<Self, EdgeError> {
        let service = Server::bind(config.listen, &config.http, metrics.clone()).await?;
        let own = match config.metrics.listen {
            None => None,
            Some(address) => {
                let plain = HttpConfig { tls: None, ..config.http.clone() };
                Some(Server::bind(address, &plain, metrics.clone()).await?)
            }
        };
        Ok(Self { service, metrics: own })
    }

    /// Where the service listens, as a URL.
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Serves until SIGTERM or an interrupt, then lets requests finish for a while.
    pub async fn serve(self, state: ApiState, mut told: Stop) -> Outcome {
        let mut out = std::io::stdout();
        writeln!(out, "serving the lake at {} on {}", state.app.lake.location(), self.url())?;
        if let Some(metrics) = &self.metrics {
            writeln!(out, "metrics on {}/metrics", metrics.url())?;
        }
        out.flush()?;
        let stop = CancellationToken::new();
        let metrics = async {
            if let Some(server) = self.metrics {
                server.serve(metrics_router(state.clone()), &[], stop.cancelled()).await;
            }
        };
        let service = self.service.serve(router(state.clone()), OWN_LIMITS, stop.cancelled());
        let audit = state.app.audit.clone();
        let (query, statements) = (state.app.query.clone(), state.app.statements.clone());
        let (promotions, imports) = (state.app.promotions.clone(), state.app.imports.clone());
        let maintenance = state.app.maintenance.clone();
        let revocations = state.app.revocations.clone();
        let signal = async {
            told.told().await;
            tracing::info!("stopping");
            stop.cancel();
            query.stop();
            promotions.work().stop();
            imports.work().stop();
            maintenance.work().stop();
            revocations.work().stop();
        };
        let promoting = async {
            let (schedule, loads) = (promotions.keep_schedule(), promotions.keep_following_loads());
            let lag = promotions.keep_measuring_lag();
            tokio::join!(promotions.work().keep_working(), schedule, loads, lag)
        };
        let maintaining =
            async { tokio::join!(maintenance.work().keep_working(), maintenance.keep_schedule()) };
        let sweeping = async {
            while !stop.is_cancelled() {
                if let Err(error) = state.app.landing.sweep().await {
                    tracing::warn!(%error, "old keys of loads were not forgotten");
                }
                let _ = tokio::time::timeout(SWEEP, stop.cancelled()).await;
            }
        };
        let revoking = revocations.keep_working();
        let snapshots = state.app.snapshots.clone();
        let following = snapshots.keep_following_promotions(&promotions, &audit);
        let kept = statements.keep_sweeping();
        let importing = imports.work().keep_working();
        tokio::join!(
            service,
            metrics,
            signal,
            kept,
            promoting,
            importing,
            sweeping,
            maintaining,
            following,
            revoking
        );
        // What this server ran by itself is left to others, or to its next start.
        if tokio::time::timeout(LEAVE, statements.drained()).await.is_err() {
            tracing::warn!("statements were not left in time; others take them over later");
        }
        audit.close(AUDIT_GRACE).await;
        Ok(())
    }
}
