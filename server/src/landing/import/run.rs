//! An import as long work: file by file, in the order of their names.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use stedi_openapi::{Code, ImportFailure, ImportRun, LoadResult};

use super::allowed::Allowed;
use crate::lake::{Lake, Outside, OutsideFile};
use crate::landing::{Content, Landing, LandingError, LoadKey, feed};
use crate::ledger::audit::{Action, Audit, Draft, End, Outcome};
use crate::ledger::{Asked, Asker, Attempt, Ended, Kind, Recorded};

/// Files that are remembered as loaded, so that they need not be read again.
const SEEN: &str = "system/loads/files";
/// Failures that are listed.
const LISTED: usize = 100;

/// What follows a load; the revocations that it opened.
pub type Loaded = Box<dyn Fn(Asker, LoadResult) -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// Files that lie somewhere are loaded.
pub struct Files {
    pub(super) landing: Arc<Landing>,
    pub(super) lake: Lake,
    pub(super) audit: Audit,
    /// Where they may come from.
    pub(super) from: Allowed,
    /// Told of every load.
    pub(super) loaded: Loaded,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

/// What is asked of an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub(super) table: String,
    pub(super) source: String,
}

impl Kind for Files {
    const NAME: &'static str = "import";
    const FOLDER: &'static str = "system/imports";
    const ONE_AT_A_TIME: bool = false;
    const ACTION: Action = Action::Load;
    const UNKNOWN: Code = Code::ImportNotFound;
    const FULL: Code = Code::Busy;

    type Order = Order;
    type Run = ImportRun;
    type Error = LandingError;

    fn queued(asked: &Asked<Order>) -> ImportRun {
        let Order { table, source } = asked.order.clone();
        ImportRun { table, source, ..ImportRun::default() }
    }

    /// Each load has a record.
    fn recorded(_: &ImportRun) -> Option<Recorded> {
        None
    }

    async fn carry_out(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, LandingError> {
        Ok(self.files(attempt).await.unwrap_or_else(|error| {
            tracing::error!(import = attempt.id, %error, "an import failed");
            attempt.run().error = Some(error.problem());
            Ended::Failed(error.code())
        }))
    }
}

impl Files {
    /// Loads the files behind the last one that was looked at.
    async fn files(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, LandingError> {
        let order = &attempt.asked.order;
        let outside = Outside::open(&self.from.source(&order.source)?)?;
        let files = outside.list().await?;
        let last = {
            let mut run = attempt.run();
            run.what.files = files.len() as u64;
            run.what.last.clone()
        };
        let left = files.iter().filter(|file| last.as_ref().is_none_or(|last| file.name > *last));
        for file in left {
            if attempt.stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            let seen = format!("{SEEN}/{}/{}", order.table, self.mark(order, file));
            let known = self.lake.read_object(&seen).await?.is_some();
            let loaded = match known {
                true => None,
                false => Some(self.load(attempt, &outside, file).await),
            };
            if let Some(Ok(_)) = &loaded {
                self.lake.put_object(&seen, b"{}".to_vec()).await?;
            }
            let mut run = attempt.run();
            let run = &mut run.what;
            match loaded {
                None => run.files_skipped += 1,
                Some(Ok(result)) => add(run, &result),
                // The server stops: somebody else loads it.
                Some(Err(LandingError::Abandoned { .. })) if attempt.stop.is_cancelled() => {
                    return Ok(Ended::Stopped);
                }
                Some(Err(error)) => {
                    tracing::warn!(import = attempt.id, file = file.name, %error, "not loaded");
                    if run.failures.len() < LISTED {
                        let error = error.problem();
                        run.failures.push(ImportFailure { file: file.name.clone(), error });
                    }
                }
            }
            run.files_done += 1;
            run.last = Some(file.name.clone());
        }
        Ok(match attempt.run().what.failures.is_empty() {
            true => Ended::Wholly,
            false => Ended::Failed(Code::Internal),
        })
    }

    /// A keyed hash of a file as it is now: its stamp may be a hash of its content.
    fn mark(&self, order: &Order, file: &OutsideFile) -> String {
        let size = file.size.to_string();
        let parts = [&order.source, &file.name, &file.stamp, &size];
        self.landing.marks.of("file", &parts.map(|part| part.as_bytes()))
    }

    /// Loads one file. Under the same name of the same import it gives the same answer again.
    async fn load(
        &self,
        attempt: &Attempt<'_, Self>,
        outside: &Outside,
        file: &OutsideFile,
    ) -> Result<LoadResult, LandingError> {
        let (id, asked) = (attempt.id, attempt.asked);
        let table = &asked.order.table;
        let draft = Draft {
            tables: [(table.clone(), None)].into(),
            ..asked.draft(Action::Load, format!("import {id}"))
        };
        let open = self.audit.begin(draft).await?;
        let author = attempt.author();
        let key = LoadKey { principal: format!("import {id}"), key: file.name.clone() };
        let (feed, reader) = feed();
        let name = file.name.chars().take(200).collect();
        let most = Some(self.landing.limits().upload_bytes);
        let content = Content { name, reader, most };
        let send = async {
            let mut bytes = outside.read(file).await?;
            while let Some(chunk) = bytes.next().await {
                if !feed.push(chunk?).await {
                    return Ok(());
                }
            }
            feed.end().await;
            Ok::<_, LandingError>(())
        };
        let load = self.landing.load(table, content, &author, Some(&key));
        let (sent, loaded) = tokio::join!(send, load);
        // What broke off outside is why the load did.
        let loaded = sent.and(loaded);
        let end = match &loaded {
            Ok(result) => End {
                rows_in: Some(result.accepted),
                tables: Some([(table.clone(), Some(result.version))].into()),
                ..End::ok()
            },
            Err(_) => End::other(Outcome::Failed, "load_failed"),
        };
        open.end(end).await?;
        let mut loaded = loaded?;
        loaded.revocations = (self.loaded)(asked.asker(), loaded.clone()).await;
        Ok(loaded)
    }
}

fn add(run: &mut ImportRun, result: &LoadResult) {
    run.received += result.received;
    run.accepted += result.accepted;
    run.rejected += result.rejected;
    run.duplicate += result.duplicate;
    run.suppressed += result.suppressed;
    run.version = run.version.max(Some(result.version));
    for id in &result.revocations {
        if !run.revocations.contains(id) {
            run.revocations.push(id.clone());
        }
    }
}
