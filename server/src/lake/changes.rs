//! What happened to a table's rows between two of its versions, as files: the change data feed
//! (Delta protocol, "Change Data Files").

use std::collections::{BTreeMap, BTreeSet};

use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::error::LakeError;
use super::files::{DataFile, DataFiles};
use super::table::Table;

/// Commits that are read at the same time.
const AT_ONCE: usize = 8;
/// The column of a change data file that says what became of a row.
pub(super) const CHANGE_TYPE: &str = "_change_type";

/// The rows that came and went, as the files that hold them.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Rows that came.
    pub inserted: DataFiles,
    /// Rows that came or went; files of all kinds, `inserted` among them.
    pub touched: DataFiles,
    /// Whether rows went.
    pub deletes: bool,
}

impl Changes {
    /// Whether no row came or went.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

/// Why it cannot be told which rows came and went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// Log cleanup has removed commits.
    LogRemoved,
    /// A file that held rows which came or went is not there any more.
    FileRemoved,
    /// The table's columns changed.
    OtherColumns,
    /// The table was made anew: it is older than what was known of it.
    Older,
}

impl Untold {
    /// In words, for a history.
    pub fn reason(self) -> &'static str {
        match self {
            Untold::LogRemoved => "commits are not in the log any more",
            Untold::FileRemoved => "files of changed rows are not there any more",
            Untold::OtherColumns => "columns changed",
            Untold::Older => "the table was made anew",
        }
    }
}

/// One action of a commit, as far as rows are concerned.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<File>,
    remove: Option<File>,
    cdc: Option<File>,
    meta_data: Option<Metadata>,
    txn: Option<Txn>,
    commit_info: Option<Info>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    stedi: Stedi,
}

/// What our own commits say of themselves.
#[derive(Default, Deserialize)]
struct Stedi {
    /// Of the commit that a purge made.
    unchanged_since: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: String,
    #[serde(default)]
    size: u64,
    stats: Option<String>,
    #[serde(default)]
    data_change: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    schema_string: String,
}

/// What one commit says.
#[derive(Default)]
pub(super) struct Commit {
    pub adds: Vec<DataFile>,
    pub removes: Vec<DataFile>,
    pub cdc: Vec<DataFile>,
    pub schemas: Vec<String>,
    pub txns: BTreeMap<String, i64>,
    /// See [`Stedi`].
    unchanged_since: Option<u64>,
}

impl Table {
    /// The rows that came and went since a version.
    pub async fn changes_since(&self, version: u64) -> Result<Result<Changes, Untold>, LakeError> {
        if version > self.version() {
            return Ok(Err(Untold::Older));
        }
        let mut commits = self.commits_after(version).await?;
        // The commits before a purge are gone; it says from where on they changed no row.
        if commits.iter().any(Option::is_none) {
            commits = self.commits_after(self.caught_up(version).await?).await?;
        }
        let (mut inserted, mut touched, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for commit in commits {
            let Some(commit) = commit else { return Ok(Err(Untold::LogRemoved)) };
            if commit.schemas.iter().any(|schema| !self.has_schema(schema)) {
                return Ok(Err(Untold::OtherColumns));
            }
            // Where there are change data files they say everything about the commit.
            match commit.cdc.is_empty() {
                true => {
                    inserted.extend(commit.adds);
                    gone.extend(commit.removes);
                }
                false => gone.extend(commit.cdc),
            }
        }
        // What came may have gone since, or be in other files now.
        let live = self.files()?;
        let live: BTreeSet<&str> = live.names().collect();
        let came = inserted.iter().filter(|file| !live.contains(file.name.as_str()));
        let store = self.delta.object_store();
        for file in gone.iter().chain(came) {
            match store.head(&Path::from(file.name.as_str())).await {
                Ok(_) => {}
                Err(deltalake::ObjectStoreError::NotFound { .. }) => {
                    return Ok(Err(Untold::FileRemoved));
                }
                Err(error) => return Err(LakeError::table(&self.name)(error.into())),
            }
        }
        let deletes = !gone.is_empty();
        touched.extend(inserted.iter().cloned());
        touched.extend(gone);
        Ok(Ok(Changes {
            inserted: self.choice(inserted)?,
            touched: self.choice(touched)?,
            deletes,
        }))
    }

    /// The commits after a version; `None` for one that is not in the log any more.
    pub(super) async fn commits_after(
        &self,
        version: u64,
    ) -> Result<Vec<Option<Commit>>, LakeError> {
        let reads = (version + 1..=self.version()).map(|version| self.commit(version));
        futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }

    /// The newest version that has the same rows as one that is known, as far as a purge says so.
    pub async fn caught_up(&self, version: u64) -> Result<u64, LakeError> {
        let log = self.log_files().await?;
        let Some((&first, _)) = log.commits.first_key_value() else { return Ok(version) };
        if first <= version + 1 {
            return Ok(version);
        }
        let since = self.commit(first).await?.and_then(|commit| commit.unchanged_since);
        // The purge may be later than this version.
        let same = first.min(self.version());
        Ok(if since.is_some_and(|since| since <= version) { same } else { version })
    }

    /// The first commit behind a version that changed rows or columns, and when it was written, in
    /// epoch milliseconds; `None` if there is none that the log still has.
    pub async fn first_change_after(&self, version: u64) -> Result<Option<(u64, i64)>, LakeError> {
        let version = self.caught_up(version.min(self.version())).await?;
        for version in version + 1..=self.version() {
            let changed = match self.commit(version).await? {
                Some(commit) => self.is_changed_by(&commit),
                None => false,
            };
            if changed && let Some(millis) = self.written_at(version).await? {
                return Ok(Some((version, millis)));
            }
        }
        Ok(None)
    }

    fn is_changed_by(&self, commit: &Commit) -> bool {
        let rows = [&commit.adds, &commit.removes, &commit.cdc];
        rows.into_iter().any(|files| !files.is_empty())
            || commit.schemas.iter().any(|schema| !self.has_schema(schema))
    }

    /// The oldest version since which no commit changed rows or columns, as far as it can be told;
    /// none before `enough` is looked for.
    pub(super) async fn unchanged_since(&self, enough: u64) -> Result<u64, LakeError> {
        let mut version = self.version();
        while version > enough {
            match self.commit(version).await? {
                Some(commit) if self.is_changed_by(&commit) => break,
                Some(Commit { unchanged_since: Some(since), .. }) => version = since,
                Some(_) => version -= 1,
                None => break,
            }
        }
        Ok(version)
    }

    /// Whether the log's text of a schema is that of this version. Only data columns count: what
    /// else is in the text may be written differently.
    pub(super) fn has_schema(&self, text: &str) -> bool {
        #[derive(Deserialize, PartialEq)]
        struct Fields {
            fields: Vec<FieldText>,
        }
        #[derive(Deserialize, PartialEq)]
        struct FieldText {
            name: String,
            r#type: serde_json::Value,
        }
        let Ok(state) = self.delta.snapshot() else { return false };
        let ours = serde_json::to_string(state.schema().as_ref()).unwrap_or_default();
        let parse = |text: &str| serde_json::from_str::<Fields>(text).ok();
        matches!((parse(text), parse(&ours)), (Some(a), Some(b)) if a == b)
    }

    /// What a commit says about rows; `None` if it is not in the log any more.
    pub(super) async fn commit(&self, version: u64) -> Result<Option<Commit>, LakeError> {
        let Some(actions) = self.actions(version).await? else { return Ok(None) };
        let mut commit = Commit::default();
        for action in actions {
            let changed = |file: Option<File>| file.filter(|file| file.data_change);
            commit.adds.extend(changed(action.add).map(DataFile::from));
            commit.removes.extend(changed(action.remove).map(DataFile::from));
            commit.cdc.extend(action.cdc.map(DataFile::from));
            commit.schemas.extend(action.meta_data.map(|metadata| metadata.schema_string));
            commit.txns.extend(action.txn.map(|txn| (txn.app_id, txn.version)));
            let stedi = action.commit_info.map(|info| info.stedi);
            commit.unchanged_since =
                commit.unchanged_since.or(stedi.and_then(|stedi| stedi.unchanged_since));
        }
        Ok(Some(commit))
    }

    /// The files that tell what rows a commit changed, and, with `all`, every other one that it
    /// names. None if it is not in the log any more.
    pub(super) async fn named_by(&self, version: u64, all: bool) -> Result<Vec<String>, LakeError> {
        let actions = self.actions(version).await?.unwrap_or_default().into_iter();
        let files = actions.flat_map(|action| {
            let moved = [action.add, action.remove].into_iter().flatten();
            let moved = moved.filter(|file| all || file.data_change);
            moved.chain(action.cdc).collect::<Vec<_>>()
        });
        Ok(files.map(|file| file.path).collect())
    }

    async fn actions(&self, version: u64) -> Result<Option<Vec<Action>>, LakeError> {
        let failed = LakeError::table(&self.name);
        let log = self.delta.log_store();
        let Some(bytes) = log.read_commit_entry(version).await.map_err(failed)? else {
            return Ok(None);
        };
        let actions = serde_json::Deserializer::from_slice(&bytes).into_iter();
        let actions = actions.collect::<Result<Vec<Action>, _>>().map_err(|json_err| {
            let line = format!("commit {version}");
            failed(deltalake::DeltaTableError::InvalidJsonLog { json_err, line, version })
        })?;
        Ok(Some(actions))
    }
}

impl From<File> for DataFile {
    fn from(file: File) -> Self {
        Self { name: file.path, size: file.size, stats: file.stats }
    }
}
