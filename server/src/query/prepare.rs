//! From a statement to a plan over the tables that its asker sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::common::{DataFusionError, ResolvedTableReference, TableReference};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::{
    SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext,
};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use deltalake::datafusion::sql::resolve::resolve_table_references;
use sha2::{Digest, Sha256};

use super::catalog::Catalog;
use super::constants;
use super::error::QueryError;
use super::functions;
use super::gate::gate;
use super::given::Given;
use super::limits::StatementLimits;
use super::parameters::Parameters;
use super::plans::Plans;
use super::schemas::{CATALOG, Catalogs, LAKE_SCHEMA, StatementTables};
use crate::lake::{Lake, StopWhen};
use crate::ledger::{Deny, Reading};
use crate::pipeline::Sight;

const INFORMATION_SCHEMA: &str = "information_schema";
/// Its tables that are there; another one has the server's settings, with paths of its machine.
const INFORMATION_TABLES: [&str; 6] =
    ["tables", "views", "columns", "schemata", "routines", "parameters"];

/// A statement as it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// Values of its placeholders.
    pub parameters: Parameters,
}

/// Makes plans.
#[derive(Clone, Debug)]
pub struct Planner {
    catalog: Catalog,
    deny: Deny,
    /// What the session of every statement begins as.
    session: Arc<SessionState>,
    plans: Arc<Plans>,
}

/// A statement that can be run.
#[derive(Debug)]
pub struct Prepared {
    plan: LogicalPlan,
    session: SessionState,
    /// Its share of the memory.
    runtime: Arc<RuntimeEnv>,
    /// The version of each table that it reads; of a table at several moments, several.
    pub versions: BTreeMap<String, BTreeSet<u64>>,
    /// The columns of its result.
    pub schema: SchemaRef,
    /// The same for the same answer: a digest of statement, parameters, sight, versions and whose
    /// rows are hidden in them. `None` where the answer depends on something else, such as the clock.
    pub tag: Option<String>,
    /// May it go on?
    pub reading: Reading,
    explain: bool,
    memory: usize,
}

impl Planner {
    /// Plans over the tables of a catalog.
    ///
    /// # Errors
    /// If the functions of statements are not what they are expected to be.
    pub fn new(lake: &Lake, catalog: Catalog, deny: Deny) -> Result<Self, QueryError> {
        let mut session = lake.sessions().session().state();
        let failed = |error| QueryError::Engine(Box::new(error));
        functions::restrict(&mut session).map_err(failed)?;
        let config = session
            .config()
            .clone()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, LAKE_SCHEMA);
        let session = SessionStateBuilder::new_from_existing(session).with_config(config).build();
        let session = Arc::new(session);
        Ok(Self { catalog, deny, session, plans: Arc::default() })
    }

    /// Plans a statement over what somebody sees.
    ///
    /// # Errors
    /// Says what is wrong with the statement, in words for its author.
    pub async fn prepare(
        &self,
        statement: &Statement,
        sight: &Sight,
        limits: &StatementLimits,
    ) -> Result<Prepared, QueryError> {
        let gated = gate(&statement.sql, &statement.parameters, &limits.text)?;
        let failed = |error| QueryError::of(error, limits.memory);
        let runtime = self.catalog.lake().sessions().share(limits.memory).map_err(failed)?;
        // Before any table is opened: rows that are denied later end the statement.
        let list = self.deny.current().await?;
        let tables = StatementTables::new(
            self.catalog.clone(),
            sight.clone(),
            gated.moments,
            Arc::clone(&list),
            Arc::clone(&self.session),
        );
        let mut session = self.session.as_ref().clone();
        session.register_catalog_list(Arc::new(Catalogs(Arc::clone(&tables))));
        // It is what now() says.
        session.mark_start_execution();
        let (names, _) = resolve_table_references(&gated.statement, true).map_err(failed)?;
        let mut described = false;
        for name in names {
            let asked = name.to_string();
            described |= open(&tables, name).await?.ok_or(QueryError::UnknownTable(asked))?;
        }
        let versions = tables.versions();
        let tag = tag(statement, sight, &versions, &tables.marks());
        let depends = gated.explain || described;
        let known = if depends { None } else { self.plans.get(&tag) };
        let (plan, same) = match known {
            Some(plan) => (plan, true),
            None => {
                let plan = session.statement_to_plan(gated.statement).await.map_err(failed)?;
                // Before it is optimized: the optimizer puts the time of day in the place of now().
                let same = !depends && immutable(&plan).map_err(failed)?;
                constants::bounded_patterns(&plan)?;
                let plan = session.optimize(&plan).map_err(failed)?;
                constants::bounded(&plan)?;
                if same {
                    self.plans.keep(&tag, &statement.sql, &plan);
                }
                (plan, same)
            }
        };
        let schema = Arc::clone(plan.schema().inner());
        // What the information schema shows was opened while it was planned.
        let versions = if depends { tables.versions() } else { versions };
        let tag = same.then_some(tag);
        let reading = Reading::new(self.deny.clone(), list.seq(), tables.personal());
        let (explain, memory) = (gated.explain, limits.memory);
        Ok(Prepared { plan, session, runtime, versions, schema, tag, reading, explain, memory })
    }

    /// Plans a statement over a relation that is given.
    ///
    /// # Errors
    /// See [`Planner::prepare`].
    pub async fn prepare_over(
        &self,
        sql: &str,
        given: Given,
        limits: &StatementLimits,
    ) -> Result<Prepared, QueryError> {
        let gated = gate(sql, &Parameters::default(), &limits.text)?;
        let failed = |error| QueryError::of(error, limits.memory);
        let runtime = self.catalog.lake().sessions().share(limits.memory).map_err(failed)?;
        let mut session = self.session.as_ref().clone();
        session.register_catalog_list(given.catalogs().map_err(failed)?);
        session.mark_start_execution();
        let plan = session.statement_to_plan(gated.statement).await.map_err(failed)?;
        constants::bounded_patterns(&plan)?;
        let plan = session.optimize(&plan).map_err(failed)?;
        constants::bounded(&plan)?;
        Ok(Prepared {
            schema: Arc::clone(plan.schema().inner()),
            versions: given.versions(),
            plan,
            session,
            runtime,
            tag: None,
            reading: given.reading,
            explain: false,
            memory: limits.memory,
        })
    }
}

impl Prepared {
    /// Begins to run it, until it is told to stop.
    pub async fn run(self, stop: StopWhen) -> Result<Running, QueryError> {
        let failed = |error| QueryError::of(error, self.memory);
        let planner = self.session.query_planner();
        let plan = planner.create_physical_plan(&self.plan, &self.session).await.map_err(failed)?;
        let plan = stop.stops(plan).map_err(failed)?;
        let context = TaskContext::from(&self.session).with_runtime(self.runtime);
        let context = Arc::new(context);
        let rows = execute_stream(Arc::clone(&plan), context).map_err(failed)?;
        Ok(Running { rows, explain: self.explain, memory: self.memory, _plan: plan })
    }
}

/// A statement that runs, until it is dropped.
pub struct Running {
    /// Its rows.
    pub rows: SendableRecordBatchStream,
    /// Whether the rows are lines of a plan.
    pub explain: bool,
    /// Bytes of memory that its plan may hold.
    pub memory: usize,
    _plan: Arc<dyn ExecutionPlan>,
}

/// Opens a table, `None` if there is none; says whether it is one of the information schema.
async fn open(tables: &StatementTables, name: TableReference) -> Result<Option<bool>, QueryError> {
    let ResolvedTableReference { catalog, schema, table } = name.resolve(CATALOG, LAKE_SCHEMA);
    if &*catalog != CATALOG {
        return Ok(None);
    }
    if &*schema == INFORMATION_SCHEMA {
        return Ok(INFORMATION_TABLES.contains(&&*table).then_some(true));
    }
    Ok(tables.open(&schema, &table).await?.map(|_| false))
}

/// Whether the plan gives the same rows for the same tables.
fn immutable(plan: &LogicalPlan) -> Result<bool, DataFusionError> {
    let mut same = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr {
                    same &= call.func.signature().volatility == Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(same)
}

fn tag(
    statement: &Statement,
    sight: &Sight,
    versions: &BTreeMap<String, BTreeSet<u64>>,
    marks: &[(String, u64, String)],
) -> String {
    let mut digest = Sha256::new();
    let parameters = serde_json::Value::Array(statement.parameters.values().to_vec()).to_string();
    let sight = format!("{sight:?}");
    let (versions, marks) = (format!("{versions:?}"), format!("{marks:?}"));
    let release = env!("CARGO_PKG_VERSION");
    for part in [release, &statement.sql, &parameters, &sight, &versions, &marks] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finalize();
    hex::encode(digest.get(..16).unwrap_or(&digest))
}
