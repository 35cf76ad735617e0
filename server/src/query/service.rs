//! Answers statements: a turn, a plan, and its rows in a format.

use std::sync::Arc;
use std::time::Duration;

use deltalake::datafusion::execution::SendableRecordBatchStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Stop, answer};
use super::catalog::Catalog;
use super::error::QueryError;
use super::format::Format;
use super::limits::{Limits, StatementLimits, Turn};
use super::parameters::Parameters;
use super::prepare::{Planner, Prepared, Statement};
use crate::auth::Principal;
use crate::lake::{Lake, Table};
use crate::pipeline::{Pipeline, Sight};

/// Answers statements.
#[derive(Clone, Debug)]
pub struct Query {
    lake: Lake,
    pipeline: Arc<Pipeline>,
    catalog: Catalog,
    planner: Arc<Planner>,
    limits: Arc<Limits>,
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
}

impl Query {
    /// Statements over the tables of a catalog.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        catalog: Catalog,
        limits: Limits,
    ) -> Result<Self, QueryError> {
        let planner = Arc::new(Planner::new(&lake, catalog.clone())?);
        let (limits, stop) = (Arc::new(limits), CancellationToken::new());
        Ok(Self { lake, pipeline, catalog, planner, limits, stop })
    }

    /// The limits, and what runs under them.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tells statements that run by themselves to stop; those that somebody reads may finish.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server stops.
    pub(super) async fn stopping(&self) {
        self.stop.cancelled().await;
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
        let prepared = self.planner.prepare(statement, &sight, &limits);
        match tokio::time::timeout_at(deadline, prepared).await {
            Ok(prepared) => Ok(Ready { prepared: prepared?, limits, turn, stop }),
            Err(_) => Err(QueryError::TimeLimit(stop.seconds)),
        }
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
        let admin = Principal { subject: "demo".to_owned(), roles: vec![crate::auth::Role::Admin] };
        let limits = self.limits.of(&admin);
        let prepared = self.planner.prepare(&statement, &Sight::All, &limits).await?;
        Ok(prepared.run().await?.rows)
    }
}

impl Ready {
    /// The plan, when it ends, and its turn.
    pub(super) fn into_parts(self) -> (Prepared, Stop, Turn) {
        (self.prepared, self.stop, self.turn)
    }

    /// Runs it.
    pub async fn answer(self, format: Format) -> Result<Answer, QueryError> {
        answer(self.prepared, format, self.limits, self.turn, self.stop).await
    }
}
