//! Answers statements: a turn, a plan, and its rows in a format.

use std::sync::Arc;
use std::time::Duration;

use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::answer::{Answer, Stop, answer};
use super::catalog::Catalog;
use super::error::QueryError;
use super::format::Format;
use super::given::Given;
use super::limits::{Limits, StatementLimits, Turn};
use super::parameters::Parameters;
use super::prepare::{Planner, Prepared, Statement};
use super::schemas::seen;
use super::workers::Workers;
use crate::auth::Principal;
use crate::lake::{Lake, StopWhen, Table};
use crate::ledger::{Deny, Reading};
use crate::pipeline::{Pipeline, Sight};

/// Answers statements.
#[derive(Clone, Debug)]
pub struct Query {
    lake: Lake,
    pipeline: Arc<Pipeline>,
    catalog: Catalog,
    deny: Deny,
    planner: Arc<Planner>,
    limits: Arc<Limits>,
    workers: Arc<Workers>,
    /// Told when the server stops.
    stop: CancellationToken,
}

/// A statement that has its turn and its plan.
#[derive(Debug)]
pub struct Ready {
    /// The plan, with the versions that it reads.
    pub prepared: Prepared,
    limits: StatementLimits,
    turn: Turn,
    stop: Stop,
    workers: Arc<Workers>,
}

impl Query {
    /// Statements over the tables of a catalog.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        catalog: Catalog,
        deny: Deny,
        limits: Limits,
    ) -> Result<Self, QueryError> {
        let planner = Arc::new(Planner::new(&lake, catalog.clone(), deny.clone())?);
        let (limits, stop) = (Arc::new(limits), CancellationToken::new());
        let workers = Workers::start()
            .map_err(|error| QueryError::Engine(Box::new(DataFusionError::IoError(error))))?;
        Ok(Self { lake, pipeline, catalog, deny, planner, limits, workers, stop })
    }

    /// The limits, and what runs under them.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tells statements that run by themselves to stop; those that somebody reads may finish.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// What was read from these versions of tables, under the deny list up to `seq`.
    pub(super) fn reading(&self, seq: u64, versions: &[(String, u64)]) -> Reading {
        let tables = self.pipeline.tables();
        let seen = versions.iter().filter_map(|(table, version)| seen(&tables, table, *version));
        Reading::new(self.deny.clone(), seq, seen.collect())
    }

    /// The threads on which statements run.
    pub(super) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Waits until the server stops.
    pub(super) async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the server stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits for a turn and plans a statement for somebody.
    pub async fn ready(
        &self,
        principal: &Principal,
        statement: &Statement,
    ) -> Result<Ready, QueryError> {
        let limits = self.limits.of(principal);
        let time = limits.time;
        self.ready_within(principal, statement, time, CancellationToken::new()).await
    }

    /// The same with another time limit, and a way to cancel it.
    pub async fn ready_within(
        &self,
        principal: &Principal,
        statement: &Statement,
        time: Duration,
        cancel: CancellationToken,
    ) -> Result<Ready, QueryError> {
        let limits = self.limits.of(principal);
        let turn = self.limits.turn(principal).await?;
        let deadline = Instant::now() + time;
        let stop = Stop { deadline, seconds: time.as_secs(), cancel };
        let sight = self.catalog.sight(principal);
        let (planner, statement) = (Arc::clone(&self.planner), statement.clone());
        // Constants are computed while planning. The turn is kept until that ends, also where
        // nobody waits for it any more.
        let planned = self.workers.spawn(async move {
            let prepared = planner.prepare(&statement, &sight, &limits).await?;
            Ok::<_, QueryError>((prepared, turn))
        });
        let planned = AbortOnDropHandle::new(planned.ok_or(QueryError::Stopping)?);
        let (prepared, turn) = match tokio::time::timeout_at(deadline, planned).await {
            Ok(planned) => planned.map_err(broken)??,
            Err(_) => return Err(QueryError::TimeLimit(stop.seconds)),
        };
        let workers = Arc::clone(&self.workers);
        Ok(Ready { prepared, limits, turn, stop, workers })
    }

    /// Waits for a turn and plans a statement over a relation that is given. As many rows are given as
    /// there are, for as long as a statement of the caller's may run by itself.
    pub async fn ready_over(
        &self,
        principal: &Principal,
        sql: &str,
        given: Given,
    ) -> Result<Ready, QueryError> {
        let limits = self.limits.of(principal);
        let limits = StatementLimits { rows: u64::MAX, bytes: u64::MAX, ..limits };
        let time = limits.async_time;
        let turn = self.limits.turn(principal).await?;
        let cancel = CancellationToken::new();
        let stop = Stop { deadline: Instant::now() + time, seconds: time.as_secs(), cancel };
        let (planner, sql) = (Arc::clone(&self.planner), sql.to_owned());
        let planned = self.workers.spawn(async move {
            let prepared = planner.prepare_over(&sql, given, &limits).await?;
            Ok::<_, QueryError>((prepared, turn))
        });
        let planned = AbortOnDropHandle::new(planned.ok_or(QueryError::Stopping)?);
        let (prepared, turn) = match tokio::time::timeout_at(stop.deadline, planned).await {
            Ok(planned) => planned.map_err(broken)??,
            Err(_) => return Err(QueryError::TimeLimit(stop.seconds)),
        };
        let workers = Arc::clone(&self.workers);
        Ok(Ready { prepared, limits, turn, stop, workers })
    }

    /// The newest version of a table of the pipeline.
    pub async fn table(&self, name: &str) -> Result<Table, QueryError> {
        let unknown = || QueryError::UnknownTable(name.to_owned());
        let source = name.strip_suffix("_rejected").unwrap_or(name);
        let zone = self.pipeline.zone(name).or_else(|| self.pipeline.zone(source));
        let zone = zone.ok_or_else(unknown)?;
        self.lake.newest(zone.name(), name).await?.ok_or_else(unknown)
    }

    /// The rows of one SELECT over everything, for the demo.
    pub async fn select(&self, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
        let statement = Statement { sql: sql.to_owned(), parameters: Parameters::default() };
        let roles = vec![crate::auth::Role::Admin];
        let admin = Principal { subject: "demo".to_owned(), roles, until: None };
        let limits = self.limits.of(&admin);
        let prepared = self.planner.prepare(&statement, &Sight::All, &limits).await?;
        Ok(prepared.run(StopWhen::new(|| false)).await?.rows)
    }
}

impl Ready {
    /// The plan, when it ends, and its turn.
    pub(super) fn into_parts(self) -> (Prepared, Stop, Turn) {
        (self.prepared, self.stop, self.turn)
    }

    /// What it may take.
    pub(super) fn limits(&self) -> StatementLimits {
        self.limits
    }

    /// The threads on which it runs.
    pub(super) fn workers(&self) -> Arc<Workers> {
        Arc::clone(&self.workers)
    }

    /// Runs it.
    pub async fn answer(self, format: Format) -> Result<Answer, QueryError> {
        answer(self, format).await
    }
}

/// Work that panicked, or that was aborted.
fn broken(error: tokio::task::JoinError) -> QueryError {
    QueryError::Engine(Box::new(DataFusionError::ExecutionJoin(Box::new(error))))
}
