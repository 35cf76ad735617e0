//! What the demo prints.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{CellAlignment, Table, presets};
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use stedi_openapi::{LoadResult, Manifest};

use super::Outcome;
use crate::app::{App, token_rules};
use crate::auth::{LocalKey, Role};
use crate::config::Config;
use crate::promotion::TableRun;

/// Rows of an answer that are printed.
const SHOWN: usize = 20;
/// Rejected records that are printed.
const SHOWN_REJECTS: usize = 5;

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// So many steps are to be done.
    pub fn steps(what: &'static str, steps: usize) -> Self {
        Self::new(what, steps as u64, "{msg:9} {bar:30} {pos}/{len} {prefix}")
    }

    /// So many bytes are to be read.
    pub fn bytes(what: &'static str, bytes: u64) -> Self {
        Self::new(what, bytes, "{msg:9} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {prefix}")
    }

    fn new(what: &'static str, length: u64, template: &str) -> Self {
        let bar = ProgressBar::new(length).with_message(what);
        let style = ProgressStyle::with_template(template);
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// A step is done.
    pub fn step(&self, name: &str) {
        self.name(name);
        self.0.inc(1);
    }

    /// What is being done.
    pub fn name(&self, name: &str) {
        self.0.set_prefix(name.to_owned());
    }

    /// Counts what is read.
    pub fn read<R: Read>(&self, reader: R) -> ProgressBarIter<R> {
        self.0.wrap_read(reader)
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// The results of loads, summed up by table.
#[derive(Default)]
pub(super) struct Loads {
    tables: BTreeMap<String, LoadResult>,
    rejects: Vec<String>,
    rejected: u64,
}

impl Loads {
    pub fn add(&mut self, file: &str, result: LoadResult) {
        self.rejected += result.rejected;
        for reject in &result.rejects {
            if self.rejects.len() < SHOWN_REJECTS {
                self.rejects.push(format!("{file}, line {}: {}", reject.line, reject.reason));
            }
        }
        match self.tables.get_mut(&result.table) {
            None => {
                self.tables.insert(result.table.clone(), result);
            }
            Some(sum) => {
                sum.received += result.received;
                sum.accepted += result.accepted;
                sum.rejected += result.rejected;
                sum.duplicate += result.duplicate;
                for (field, count) in result.unknown_fields {
                    *sum.unknown_fields.entry(field).or_default() += count;
                }
            }
        }
    }

    pub fn print(&self) {
        let mut table = grid(["loaded into", "received", "accepted", "rejected", "duplicate"], 1);
        for (name, sum) in &self.tables {
            let counts = [sum.received, sum.accepted, sum.rejected, sum.duplicate];
            table.add_row(
                std::iter::once(name.clone()).chain(counts.map(|count| count.to_string())),
            );
        }
        println!("\n{table}");
        for reject in &self.rejects {
            println!("rejected: {reject}");
        }
        if self.rejected > self.rejects.len() as u64 {
            println!("rejected: … {} in all, kept in *_rejected", self.rejected);
        }
        for (name, sum) in self.tables.iter().filter(|(_, sum)| !sum.unknown_fields.is_empty()) {
            let fields: Vec<String> = sum
                .unknown_fields
                .iter()
                .map(|(field, count)| format!("{field} ({count}×)"))
                .collect();
            println!("fields left out of {name}: {}", fields.join(", "));
        }
    }
}

/// What a promotion did.
pub(super) fn runs(runs: &[TableRun]) {
    let mut table = grid(["promoted", "mode", "rows in", "rows out", "ms"], 2);
    for run in runs {
        table.add_row([
            run.table.clone(),
            run.mode.to_string(),
            run.rows_inserted.to_string(),
            run.rows_deleted.to_string(),
            run.millis.to_string(),
        ]);
    }
    println!("\n{table}");
}

/// What is in a snapshot.
pub(super) fn snapshot(manifest: &Manifest) {
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let tables: Vec<&str> = manifest.tables.iter().map(|table| table.table.as_str()).collect();
    println!("\nsnapshot of {}: {rows} rows", tables.join(", "));
    println!("{}", manifest.id);
}

/// Every table with its rows and version.
pub(super) async fn tables(app: &App) -> Outcome {
    let mut table = grid(["zone", "table", "rows", "version"], 2);
    for source in &app.pipeline.sources {
        for name in [source.name.clone(), source.rejected()] {
            add_table(app, &mut table, "landing", &name).await?;
        }
    }
    for derived in &app.pipeline.derived {
        add_table(app, &mut table, derived.zone.name(), &derived.name).await?;
    }
    println!("\n{table}");
    Ok(())
}

async fn add_table(app: &App, grid: &mut Table, zone: &str, name: &str) -> Outcome {
    let table = app.query.table(name).await?;
    let rows = table.stats()?.rows.to_string();
    grid.add_row([zone, name, &rows, &table.version().to_string()]);
    Ok(())
}

/// A statement and its answer.
pub(super) async fn answer(app: &App, sql: &str) -> Outcome {
    let mut stream = app.query.select(sql).await?;
    let schema = stream.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(names);
    let mut rows = 0;
    while let Some(batch) = stream.try_next().await? {
        let options = FormatOptions::new().with_null("NULL");
        let columns: Result<Vec<_>, _> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect();
        let columns = columns?;
        for row in 0..batch.num_rows() {
            if rows < SHOWN {
                table.add_row(columns.iter().map(|column| column.value(row).to_string()));
            }
            rows += 1;
        }
    }
    println!("\n{sql}\n\n{table}");
    if rows > SHOWN {
        println!("… {rows} rows in all");
    }
    Ok(())
}

/// Addresses, tokens and commands to try.
pub(super) fn commands(config: &Config, url: &str) -> Outcome {
    if config.auth.jwks.is_some() {
        return Ok(());
    }
    let key = LocalKey::open(&config.auth_key())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    println!("\ntokens, valid for an hour:");
    for role in [Role::Analyst, Role::Admin] {
        let claims = token_rules(config).claims("demo", role, now, Duration::from_secs(3600));
        println!("{}={}", role.name().to_uppercase(), key.sign(&claims)?);
    }
    println!("\nto try:");
    println!("  curl {url}/readyz");
    println!("  curl -H \"Authorization: Bearer $ANALYST\" {url}/v1/tables");
    println!("  stedi --server {url} --token $ANALYST tables\n");
    Ok(())
}

fn grid<const N: usize>(header: [&str; N], texts: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
