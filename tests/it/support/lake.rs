//! A lake in a folder of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use stedi_openapi::LoadResult;
use stedi_server::app::{App, AppError};
use stedi_server::config::{Config, LakeConfig, PipelineConfig};
use stedi_server::lake::{Author, Needle, Needles};
use stedi_server::landing::{Content, Erased, ErasedTable, Revocation, files_of};
use stedi_server::ledger::{SubjectKey, Suppressed};
use tempfile::TempDir;

/// The rows of an answer as text; NULL is `NULL`.
type Rows = Vec<Vec<String>>;

/// A lake that is removed with the test.
pub struct TestLake {
    pub app: App,
    pub config: Config,
    _folder: TempDir,
}

impl TestLake {
    /// A new lake with the built-in pipeline.
    pub async fn new() -> Self {
        Self::with(PipelineConfig::default()).await.unwrap()
    }

    /// A new lake with a pipeline or options of the test's.
    pub async fn with(pipeline: PipelineConfig) -> Result<Self, AppError> {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            storage: folder.path().join("lake").to_str().unwrap().to_owned(),
            state_dir: folder.path().join("state"),
            pipeline,
            // Several servers of a test see each other at once.
            lake: LakeConfig { staleness_ms: 0 },
            ..Config::default()
        };
        let app = App::open(&config).await?;
        Ok(Self { app, config, _folder: folder })
    }

    /// A new lake with the fixture, promoted.
    pub async fn filled() -> Self {
        let lake = Self::new().await;
        lake.load_folder(&super::fixture()).await;
        lake.promote().await;
        lake
    }

    /// A lake that is there, in a folder that is removed with the test.
    pub async fn open(config: Config, folder: TempDir) -> Self {
        let app = App::open(&config).await.unwrap();
        Self { app, config, _folder: folder }
    }

    /// The lake's folder.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(&self.config.storage)
    }

    /// Loads a text into a landing table.
    pub async fn load(&self, table: &str, text: impl Into<Vec<u8>>) -> LoadResult {
        let reader = Cursor::new(text.into());
        let content = Content { name: "test.json".to_owned(), reader, most: None };
        adds_up(self.app.landing.load(table, content, &author(), None).await.unwrap())
    }

    /// Loads the files of a folder with one folder per source.
    pub async fn load_folder(&self, folder: &Path) -> Vec<LoadResult> {
        let mut results = Vec::new();
        for source in &self.app.pipeline.sources {
            for path in files_of(&folder.join(&source.folder)).unwrap() {
                let reader = std::fs::File::open(&path).unwrap();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let content = Content { name, reader, most: None };
                let result = self.app.landing.load(&source.name, content, &author(), None).await;
                results.push(adds_up(result.unwrap()));
            }
        }
        results
    }

    /// The pseudonym of a customer.
    pub async fn subject(&self, email: &str) -> String {
        let sql = format!("SELECT max(subject_id) FROM customer_landing WHERE email = '{email}'");
        self.select(&sql).await[0][0].clone()
    }

    /// Customers withdraw their consent: request, e-mail, epoch milliseconds. Nothing is promoted.
    pub async fn revoke(&self, revocations: &[(&str, &str, i64)]) -> u64 {
        let mut all = Vec::new();
        for &(request, email, at) in revocations {
            let subject = self.subject(email).await;
            all.push(Revocation { request: request.to_owned(), subject, at });
        }
        self.app.landing.revoke(&all, &author()).await.unwrap()
    }

    /// Promotes everything; the mode of each table.
    pub async fn promote(&self) -> BTreeMap<String, &'static str> {
        let runs = self.app.promotion.run(&author(), |_| {}).await.unwrap();
        runs.into_iter().map(|run| (run.table, run.mode.name())).collect()
    }

    /// The rows of one SELECT.
    pub async fn select(&self, sql: &str) -> Rows {
        let batches: Vec<_> =
            self.app.query.select(sql).await.unwrap().try_collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let columns = batch.columns().iter();
                rows.push(
                    columns
                        .map(|column| match column.is_null(row) {
                            true => "NULL".to_owned(),
                            false => array_value_to_string(column, row).unwrap(),
                        })
                        .collect(),
                );
            }
        }
        rows
    }

    /// The rows of one SELECT, sorted.
    pub async fn sorted(&self, sql: &str) -> Rows {
        let mut rows = self.select(sql).await;
        rows.sort();
        rows
    }

    /// Every derived table is its SELECT over its sources as they are now.
    pub async fn is_derived(&self) {
        for derived in &self.app.pipeline.derived {
            let mut sql = derived.sql.trim().trim_end_matches(';').to_owned();
            for (option, value) in &self.app.pipeline.options {
                sql = sql.replace(&format!("${option}"), &format!("'{value}'"));
            }
            let columns: Vec<&str> = derived.columns.iter().map(|it| it.name.as_str()).collect();
            let columns = columns.join(", ");
            let table = &derived.name;
            let found = self.sorted(&format!("SELECT {columns} FROM {table}")).await;
            let anew = format!("SELECT DISTINCT {columns} FROM (\n{sql}\n) AS anew");
            assert_eq!(found, self.sorted(&anew).await, "{table} is not its SELECT");
        }
    }

    /// Puts customers into the suppression list and takes them out of landing: request, e-mail, the
    /// devices that they claim, epoch milliseconds. Nothing is promoted.
    pub async fn erase(
        &self,
        (request, email, until): (&str, &str, i64),
        devices: &[&str],
    ) -> Vec<ErasedTable> {
        let devices: BTreeSet<String> = devices.iter().map(|&device| device.to_owned()).collect();
        let subject = SubjectKey::open(&self.app.lake, &self.config.subject_key()).await.unwrap();
        let erased = Suppressed {
            request: request.to_owned(),
            emails: BTreeSet::from([email.to_owned()]),
            devices: devices.clone(),
            until,
        };
        let number = self.app.suppression.add(&[erased]).await.unwrap();
        let needles = Needles::new(vec![Needle::any_case("email", email)]).unwrap();
        let erased = Erased {
            request: request.to_owned(),
            number,
            subjects: BTreeSet::from([subject.subject_id(email)]),
            devices,
            until,
            needles: Arc::new(needles),
        };
        self.app.landing.erase(&erased, &author()).await.unwrap()
    }

    /// Rows of a table, counted by reading them.
    pub async fn count(&self, table: &str) -> usize {
        self.select(&format!("SELECT count(*) FROM {table}")).await[0][0].parse().unwrap()
    }

    /// Rows of some tables.
    pub async fn counts<const N: usize>(&self, tables: [&str; N]) -> [usize; N] {
        let mut counts = [0; N];
        for (count, table) in counts.iter_mut().zip(tables) {
            *count = self.count(table).await;
        }
        counts
    }
}

/// On whose behalf tests load and promote.
pub fn author() -> Author {
    Author::new("test")
}

/// What holds for every load, always.
pub fn adds_up(result: LoadResult) -> LoadResult {
    let parts = result.accepted + result.rejected + result.duplicate + result.suppressed;
    assert_eq!(result.received, parts, "{result:?}");
    result
}
