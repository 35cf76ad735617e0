//! Runs that have ended are rows of the table `system.runs`, each once.

use std::sync::Arc;
use std::time::Duration;

use deltalake::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use deltalake::arrow::datatypes::{DataType, Schema};
use serde_json::json;
use stedi_openapi::PromotionInfo;

use super::error::PromotionError;
use crate::lake::{Author, Change, Columns, Lake, LakeError, Mode, Writer, commit};
use crate::pipeline::{Belongs, Class, Column, Declared, Zone};

const RUNS_TABLE: &str = "runs";
/// How long the log names the runs that are in the table: longer than a run is repeated.
const MARKERS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often the row is tried again that others got in the way of.
const ATTEMPTS: usize = 5;

/// The table as tables of a pipeline are declared.
pub fn declared() -> Declared {
    let text = |name: &str| Column::new(name, DataType::Utf8, Class::Plain);
    let number = |name: &str| Column::new(name, DataType::Int64, Class::Plain);
    let columns = vec![
        text("id"),
        text("state"),
        text("cause"),
        Column::new("principal", DataType::Utf8, Class::Pii),
        text("request_id"),
        number("created"),
        number("started"),
        number("finished"),
        number("attempts"),
        number("rows_inserted"),
        number("rows_deleted"),
        text("tables"),
        text("error"),
    ];
    Declared {
        name: RUNS_TABLE.to_owned(),
        description: Some("Promotions that have ended, with what became of each table.".to_owned()),
        zone: Zone::System,
        columns,
        sources: Vec::new(),
        clustered_by: vec!["created".to_owned()],
        belongs: Belongs::default(),
    }
}

fn stored() -> Columns {
    let declared = declared();
    let fields: Vec<_> = declared.columns.iter().map(Column::field).collect();
    let by_value = ["id", "state", "cause", "created", "started", "finished"];
    let others = declared.columns.iter().filter(|column| !by_value.contains(&column.name.as_str()));
    Columns {
        txn_retention: Some(MARKERS),
        schema: Arc::new(Schema::new(fields)),
        without_statistics: others.map(|column| column.name.clone()).collect(),
    }
}

/// Makes the table if there is none.
///
/// # Errors
/// If the lake cannot be read or written.
pub(super) async fn create(lake: &Lake) -> Result<(), LakeError> {
    lake.table_or_create(Zone::System.name(), RUNS_TABLE, &stored()).await.map(|_| ())
}

/// Appends a run; one whose marker is in the table is there already.
///
/// # Errors
/// If the lake cannot be read or written.
pub(super) async fn append(
    lake: &Lake,
    run: &PromotionInfo,
    request_id: Option<String>,
) -> Result<(), PromotionError> {
    let zone = Zone::System.name();
    let marker = format!("run:{}", run.id);
    for _ in 0..ATTEMPTS {
        let table = match lake.current(zone, RUNS_TABLE).await? {
            Some(table) => table,
            None => lake.table_or_create(zone, RUNS_TABLE, &stored()).await?,
        };
        if table.txn(&marker).await?.is_some() {
            return Ok(());
        }
        let mut writer = Writer::new(&table, &stored());
        writer.write(&row(run)?).await?;
        let change = Change {
            mode: Mode::Append,
            columns: None,
            written: writer.finish().await?,
            txns: vec![(marker.clone(), 1)],
            author: Author { request_id: request_id.clone(), ..Author::new("service") },
            info: json!({ "operation": "run", "run": run.id }),
        };
        match commit(lake, zone, &table, change).await {
            Err(LakeError::Conflict { .. }) => {}
            done => return Ok(done.map(|_| ())?),
        }
    }
    Err(PromotionError::Contended { table: RUNS_TABLE.to_owned(), attempts: ATTEMPTS })
}

fn row(run: &PromotionInfo) -> Result<RecordBatch, PromotionError> {
    let text = |text: Option<&str>| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let number = |number: Option<i64>| Arc::new(Int64Array::from(vec![number])) as ArrayRef;
    let sum = |rows: fn(&stedi_openapi::PromotedTable) -> u64| {
        let rows: u64 = run.what.tables.iter().map(rows).sum();
        number(i64::try_from(rows).ok())
    };
    let tables = serde_json::to_string(&run.what.tables)?;
    let columns = vec![
        text(Some(&run.id)),
        text(Some(run.state.name())),
        text(Some(run.what.cause.name())),
        text(Some(&run.principal)),
        text(run.request_id.as_deref()),
        number(Some(run.created)),
        number(run.started),
        number(run.finished),
        number(Some(i64::from(run.attempts))),
        sum(|table| table.rows_inserted),
        sum(|table| table.rows_deleted),
        text(Some(&tables)),
        text(run.error.as_ref().map(|error| error.detail.as_str())),
    ];
    let batch = RecordBatch::try_new(stored().schema, columns);
    batch.map_err(|error| PromotionError::reading(RUNS_TABLE)(error.into()))
}
