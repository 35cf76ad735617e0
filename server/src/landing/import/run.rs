//! One server's attempt at an import: file by file, in the order of their names.

use std::time::Duration;

use chrono::Utc;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use stedi_openapi::{Code, ImportFailure, ImportInfo, LoadResult, Problem, WorkState};
use tokio::time::Instant;

use super::service::{Asked, Inner, info};
use crate::auth::Role;
use crate::lake::{Author, Outside, OutsideFile};
use crate::landing::{Content, LandingError, LoadKey, feed};
use crate::ledger::Lease;
use crate::ledger::audit::{Action, Draft, End, Outcome};

/// Files that are remembered as loaded, so that they need not be read again.
const SEEN: &str = "system/loads/files";
/// How often progress is written, and it is looked whether somebody cancelled.
const PULSE: Duration = Duration::from_millis(500);
/// Servers after which an import has failed: it may be what ends them.
const ATTEMPTS: u32 = 4;
/// Failures that are listed.
const LISTED: usize = 100;

impl Inner {
    /// Brings an import to its end, or leaves it to whoever is next.
    pub(super) async fn one(&self, id: &str, lease: &Lease) -> Result<(), LandingError> {
        let Some(asked) = self.shelf.asked(id).await? else {
            return Ok(self.shelf.close(id).await?);
        };
        self.shelf.keep(id, &asked).await?;
        let (found, attempts) = self.shelf.newest(id).await?;
        let mut run = found.unwrap_or_else(|| info(id, &asked));
        if run.state.is_final() {
            return Ok(self.shelf.close(id).await?);
        }
        run.attempts = attempts.count + 1;
        run.started = run.started.or(Some(Utc::now().timestamp_millis()));
        run.state = WorkState::Running;
        if attempts.cancelled {
            run.state = WorkState::Cancelled;
        } else if attempts.count >= ATTEMPTS {
            run.state = WorkState::Failed;
            let detail = "the servers that carried it out ended before it did";
            run.error = Some(Problem::of(Code::Internal, detail));
        } else {
            self.shelf.write(id, lease.epoch(), &run).await?;
            match self.files(id, &asked, &mut run, lease).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    tracing::error!(import = id, %error, "an import failed");
                    run.state = WorkState::Failed;
                    run.error = Some(error.problem());
                }
            }
        }
        run.finished = Some(Utc::now().timestamp_millis());
        self.shelf.write(id, lease.epoch(), &run).await?;
        tracing::info!(
            import = id,
            state = run.state.name(),
            files = run.files_done,
            "import ended"
        );
        Ok(self.shelf.close(id).await?)
    }

    /// Loads the files behind the last one that was looked at; false where others go on.
    async fn files(
        &self,
        id: &str,
        asked: &Asked,
        run: &mut ImportInfo,
        lease: &Lease,
    ) -> Result<bool, LandingError> {
        let outside = Outside::open(&self.rules.from.source(&asked.source)?)?;
        let files = outside.list().await?;
        run.files = files.len() as u64;
        let lost = lease.lost();
        let mut written = Instant::now();
        let last = run.last.clone();
        let left = files.iter().filter(|file| last.as_ref().is_none_or(|last| file.name > *last));
        for file in left {
            if self.stop.is_cancelled() || lost.is_cancelled() {
                self.shelf.write(id, lease.epoch(), run).await?;
                return Ok(false);
            }
            if written.elapsed() > PULSE {
                if self.shelf.is_cancelled(id).await? {
                    run.state = WorkState::Cancelled;
                    return Ok(true);
                }
                self.shelf.write(id, lease.epoch(), run).await?;
                written = Instant::now();
            }
            let seen = format!("{SEEN}/{}/{}", asked.table, digest(asked, file));
            if self.lake.read_object(&seen).await?.is_some() {
                run.files_skipped += 1;
            } else {
                match self.load(id, asked, &outside, file).await {
                    Ok(result) => {
                        add(run, &result);
                        self.lake.put_object(&seen, b"{}".to_vec()).await?;
                    }
                    // The server stops: somebody else loads it.
                    Err(LandingError::Abandoned { .. }) if self.stop.is_cancelled() => continue,
                    Err(error) => {
                        tracing::warn!(import = id, file = file.name, %error, "not loaded");
                        if run.failures.len() < LISTED {
                            let error = error.problem();
                            run.failures.push(ImportFailure { file: file.name.clone(), error });
                        }
                    }
                }
            }
            run.files_done += 1;
            run.last = Some(file.name.clone());
        }
        run.state = match run.failures.is_empty() {
            true => WorkState::Succeeded,
            false => WorkState::Failed,
        };
        Ok(true)
    }

    /// Loads one file. Under the same name of the same import it gives the same answer again.
    async fn load(
        &self,
        id: &str,
        asked: &Asked,
        outside: &Outside,
        file: &OutsideFile,
    ) -> Result<LoadResult, LandingError> {
        let roles = asked.roles.iter().filter_map(|role| Role::parse(role));
        let draft = Draft {
            principal: Some(asked.principal.clone()),
            roles: roles.map(Role::name).collect(),
            request_id: asked.request_id.clone(),
            tables: [(asked.table.clone(), None)].into(),
            ..Draft::new(Action::Load, format!("import {id}"))
        };
        let open = self.audit.begin(draft).await?;
        let author = Author {
            who: asked.principal.clone(),
            request_id: asked.request_id.clone(),
            run: Some(id.to_owned()),
        };
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
        let load = self.landing.load(&asked.table, content, &author, Some(&key));
        let (sent, loaded) = tokio::join!(send, load);
        // What broke off outside is why the load did.
        let loaded = sent.and(loaded);
        let end = match &loaded {
            Ok(result) => End {
                rows_in: Some(result.accepted),
                tables: Some([(asked.table.clone(), Some(result.version))].into()),
                ..End::ok()
            },
            Err(_) => End::other(Outcome::Failed, "load_failed"),
        };
        open.end(end).await?;
        if loaded.as_ref().is_ok_and(|result| result.accepted > 0) {
            (self.loaded)();
        }
        loaded
    }
}

fn add(run: &mut ImportInfo, result: &LoadResult) {
    run.received += result.received;
    run.accepted += result.accepted;
    run.rejected += result.rejected;
    run.duplicate += result.duplicate;
    run.suppressed += result.suppressed;
    run.version = run.version.max(Some(result.version));
}

/// A file as it is now.
fn digest(asked: &Asked, file: &OutsideFile) -> String {
    let mut digest = Sha256::new();
    for part in [&asked.source, &file.name, &file.stamp, &file.size.to_string()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(digest.finalize())
}
