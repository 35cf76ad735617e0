//! The whole lake, a few objects at a time.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use deltalake::ObjectStoreError;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;
use futures::{StreamExt, TryStreamExt};

use super::list::{At, Listed};
use super::needles::Needles;
use super::object::{Failed, look, look_at_name};
use super::report::{Looked, ScanProgress, ScanReport};
use super::spool::{Spool, Spooled};
use crate::lake::error::LakeError;
use crate::lake::store::Lake;
use crate::lake::watch::Watch;

/// Objects that are looked into at the same time.
const AT_ONCE: usize = 4;

/// Which part of a lake is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanScope {
    /// Folders below the root that are left out, such as the landing zone's.
    pub except: Vec<String>,
}

impl ScanScope {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Everything but some folders below the root.
    pub fn except(folders: &[&str]) -> Self {
        Self { except: folders.iter().map(|folder| (*folder).to_owned()).collect() }
    }

    fn has(&self, name: &str) -> bool {
        !self.except.iter().any(|folder| {
            name.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// What became of an object.
enum Outcome {
    Looked(Looked),
    Gone,
}

impl Lake {
    /// Looks for what must not be there. Objects that are written meanwhile may not be looked into.
    ///
    /// # Errors
    /// [`LakeError::Cancelled`], or if the lake cannot be listed or read.
    pub async fn scan(
        &self,
        needles: &Arc<Needles>,
        scope: &ScanScope,
        progress: &Arc<ScanProgress>,
        watch: &Arc<Watch>,
    ) -> Result<ScanReport, LakeError> {
        let listed = self.everything().await?;
        let all = listed.len();
        let listed: Vec<Listed> =
            listed.into_iter().filter(|object| scope.has(&object.name)).collect();
        progress.listed(listed.len());
        let mut report =
            ScanReport { out_of_scope: (all - listed.len()) as u64, ..ScanReport::default() };
        let looks = listed.into_iter().map(|object| {
            let look = self.look(object.clone(), needles, watch);
            async move { Ok::<_, LakeError>((object, look.await?)) }
        });
        let mut looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut again = Vec::new();
        while let Some((object, outcome)) = looks.try_next().await? {
            let bytes = match outcome {
                Outcome::Gone => {
                    report.gone += 1;
                    0
                }
                // Somebody may have been writing it.
                Outcome::Looked(looked) if looked.unverified.is_some() => {
                    again.push(object);
                    continue;
                }
                Outcome::Looked(looked) => report.add(looked),
            };
            progress.looked(bytes);
        }
        for object in again {
            let bytes = match self.look(object, needles, watch).await? {
                Outcome::Gone => {
                    report.gone += 1;
                    0
                }
                Outcome::Looked(looked) => report.add(looked),
            };
            progress.looked(bytes);
        }
        watch.read(report.rows);
        report.matches.sort();
        Ok(report)
    }

    async fn look(
        &self,
        object: Listed,
        needles: &Arc<Needles>,
        watch: &Arc<Watch>,
    ) -> Result<Outcome, LakeError> {
        watch.go_on()?;
        let Listed { name, size, at } = object;
        let named = |reason: Option<&str>| {
            let unverified = reason.map(str::to_owned);
            let mut looked = Looked { unverified, ..Looked::new(&name) };
            look_at_name(needles, &name, &mut looked);
            Ok(Outcome::Looked(looked))
        };
        let spooled = match at {
            At::Folder => return named(None),
            At::Other => return named(Some("it is neither a file nor a folder")),
            At::File(path) => match open(path).await {
                Ok(file) => Spooled::File(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Outcome::Gone);
                }
                Err(error) => return named(Some(&error.to_string())),
            },
            At::Store(path) => match self.spool(&path, &name, watch).await? {
                Some(spooled) => spooled,
                None => return Ok(Outcome::Gone),
            },
        };
        let (needles, watch) = (Arc::clone(needles), Arc::clone(watch));
        let looked =
            tokio::task::spawn_blocking(move || look(&needles, &name, size, &spooled, &watch));
        match looked.await {
            Ok(Ok(looked)) => Ok(Outcome::Looked(looked)),
            Ok(Err(Failed::Stopped)) => Err(LakeError::Cancelled),
            Ok(Err(Failed::Unreadable(reason))) => {
                Err(LakeError::Unreadable { path: String::new(), reason })
            }
            Err(error) => {
                Err(LakeError::Unreadable { path: String::new(), reason: error.to_string() })
            }
        }
    }

    /// Reads an object; `None` if there is none any more.
    async fn spool(
        &self,
        path: &Path,
        name: &str,
        watch: &Watch,
    ) -> Result<Option<Spooled>, LakeError> {
        let failed = |source| LakeError::Object { path: name.to_owned(), source: Box::new(source) };
        let found = match self.store.get(path).await {
            Ok(found) => found,
            Err(ObjectStoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut spool = Spool::new(self.sessions.spill_dir().to_owned());
        let mut bytes = found.into_stream();
        while let Some(more) = bytes.try_next().await.map_err(failed)? {
            watch.go_on()?;
            spool.more(&more).map_err(|error| LakeError::Unreadable {
                path: name.to_owned(),
                reason: error.to_string(),
            })?;
        }
        Ok(Some(spool.done()))
    }
}

async fn open(path: PathBuf) -> std::io::Result<File> {
    let opened = tokio::task::spawn_blocking(move || File::open(path));
    opened.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_of_whole_folders() {
        let scope = ScanScope::except(&["landing"]);
        for (name, has) in
            [("landing/t/a", false), ("landing", false), ("landings/t", true), ("trusted/t", true)]
        {
            assert_eq!(scope.has(name), has, "{name}");
        }
    }
}
