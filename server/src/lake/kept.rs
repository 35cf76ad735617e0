//! What a bucket keeps beside its objects: old versions of them, and the parts of uploads that were
//! never completed. No listing of objects shows either.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use futures::StreamExt;
use serde::Deserialize;

use super::bucket::{Bucket, Refused};
use super::error::LakeError;
use super::store::Lake;
use super::watch::Watch;

/// Removals that are under way at one time.
const AT_ONCE: usize = 16;
/// The version of what was written without versions, or while they are suspended.
const NULL: &str = "null";

/// What a bucket kept, and was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Unfinished uploads.
    pub uploads: u64,
    /// Old versions, and marks of deleted objects.
    pub versions: u64,
    /// Why something may be left, in words. Without any, nothing is.
    pub left: BTreeSet<String>,
}

/// An upload that was not completed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

/// A version of an object, or the mark that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    key: String,
    version_id: String,
    is_latest: bool,
}

/// `ListMultipartUploads` of the S3 API.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

/// `ListObjectVersions` of the S3 API. Versions and marks come in the order of their keys.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    #[serde(default, rename = "Version")]
    versions: Vec<Version>,
    #[serde(default, rename = "DeleteMarker")]
    marks: Vec<Version>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_version_id_marker: String,
}

/// `GetBucketVersioning` of the S3 API.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versioning {
    #[serde(default)]
    status: Option<String>,
}

/// What is removed below one folder.
struct Sweep<'a> {
    bucket: &'a Bucket,
    prefix: String,
    except: Vec<String>,
    watch: &'a Watch,
    kept: &'a mut Kept,
}

impl Lake {
    /// Removes what the bucket keeps beside its objects below a folder of the lake (`""` for all of it),
    /// but for folders in it: uploads that were begun before a moment, in epoch milliseconds, and all
    /// old versions, which nothing reads. Nothing where the lake is in a folder. A store that does not
    /// know of them, or refuses, as it does for versions that are locked, is no error: [`Kept::left`]
    /// says so.
    ///
    /// # Errors
    /// [`LakeError::Cancelled`], or if the bucket cannot be asked.
    pub async fn remove_kept(
        &self,
        folder: &str,
        except: &[&str],
        begun_before: i64,
        watch: &Watch,
    ) -> Result<Kept, LakeError> {
        let mut kept = Kept::default();
        let Some(bucket) = self.bucket().await? else { return Ok(kept) };
        let prefix = |folder: &str| match (folder, self.root.as_ref()) {
            ("", "") => String::new(),
            ("", root) => format!("{root}/"),
            (folder, _) => format!("{}/", self.object(folder)),
        };
        let except = except.iter().copied().map(prefix).collect();
        let mut sweep = Sweep { bucket, prefix: prefix(folder), except, watch, kept: &mut kept };
        if let Err(reason) = sweep.uploads(begun_before).await? {
            sweep.kept.left.insert(format!("unfinished uploads: {reason}"));
        }
        if let Err(reason) = sweep.versions().await? {
            sweep.kept.left.insert(format!("old versions: {reason}"));
        }
        Ok(kept)
    }
}

/// Why something is left, in words.
type Left = String;

/// Where a listing goes on: behind this key, and this id of it.
type Marker = (String, String);

fn refused(Refused(status): Refused) -> Left {
    format!("the store answers {status}")
}

/// A listing that does not go on would be asked for for ever, and what it leaves out is not known.
fn goes_on(from: &Marker, to: Marker) -> Result<Marker, Left> {
    match to.0.is_empty() || to.1.is_empty() || to == *from {
        true => Err("the store's listing does not go on".to_owned()),
        false => Ok(to),
    }
}

impl Sweep<'_> {
    /// Whether a key is one of those: not every store keeps to the prefix that it is asked for.
    fn is_within(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && !self.except.iter().any(|it| key.starts_with(it))
    }

    /// Removes what is kept of some objects, some at a time. Gives how many, and the keys of those that
    /// the store does not let go.
    async fn remove(
        &self,
        what: &str,
        named: impl Iterator<Item = Marker>,
        at_once: usize,
    ) -> Result<(u64, BTreeMap<String, Left>), LakeError> {
        let (bucket, watch) = (self.bucket, self.watch);
        let within: Vec<_> = named.filter(|(key, _)| self.is_within(key)).collect();
        let removals = futures::stream::iter(within).map(|(key, id)| async move {
            watch.go_on()?;
            let removed = bucket.remove(&key, what, &id).await?;
            Ok::<_, LakeError>((key, removed))
        });
        let mut removals = removals.buffer_unordered(at_once);
        let (mut removed, mut stay) = (0, BTreeMap::new());
        while let Some(outcome) = removals.next().await {
            match outcome? {
                (_, Ok(())) => removed += 1,
                (key, Err(status)) => drop(stay.insert(key, refused(status))),
            }
        }
        Ok((removed, stay))
    }

    async fn uploads(&mut self, begun_before: i64) -> Result<Result<(), Left>, LakeError> {
        let mut at = Marker::default();
        loop {
            self.watch.go_on()?;
            let (key, id) = (&*at.0, &*at.1);
            let query = [("prefix", &*self.prefix), ("key-marker", key), ("upload-id-marker", id)];
            let page: Uploads = match self.bucket.ask("uploads", &query).await? {
                Ok(page) => page,
                Err(status) => return Ok(Err(refused(status))),
            };
            let begun = page.uploads.into_iter();
            let begun = begun.filter(|upload| millis(&upload.initiated) < begun_before);
            let named = begun.map(|upload| (upload.key, upload.upload_id));
            let (removed, stay) = self.remove("uploadId", named, AT_ONCE).await?;
            self.kept.uploads += removed;
            self.kept
                .left
                .extend(stay.into_values().map(|why| format!("unfinished uploads: {why}")));
            if !page.is_truncated {
                return Ok(Ok(()));
            }
            at = match goes_on(&at, (page.next_key_marker, page.next_upload_id_marker)) {
                Ok(at) => at,
                Err(left) => return Ok(Err(left)),
            };
        }
    }

    /// A mark goes behind all versions of its object: without it the version before it would be there
    /// again.
    async fn versions(&mut self) -> Result<Result<(), Left>, LakeError> {
        let suspended = match self.bucket.ask::<Versioning>("versioning", &[]).await? {
            // Where there never were versions there are none to list.
            Ok(Versioning { status: None }) => return Ok(Ok(())),
            Ok(Versioning { status: Some(status) }) => status != "Enabled",
            Err(status) => return Ok(Err(refused(status))),
        };
        let mut at = Marker::default();
        let mut page = match self.versions_behind(&at).await? {
            Ok(page) => page,
            Err(status) => return Ok(Err(refused(status))),
        };
        let mut waiting: Vec<Version> = Vec::new();
        // Objects of which a version stays, and so their marks.
        let mut locked = BTreeMap::new();
        loop {
            // First, so that the listing goes on behind something that is there.
            let next = match page.is_truncated {
                false => None,
                true => {
                    let to = (page.next_key_marker.clone(), page.next_version_id_marker.clone());
                    at = match goes_on(&at, to) {
                        Ok(at) => at,
                        Err(left) => return Ok(Err(left)),
                    };
                    match self.versions_behind(&at).await? {
                        Ok(page) => Some(page),
                        Err(status) => return Ok(Err(refused(status))),
                    }
                }
            };
            let mut old: Vec<Version> = page.versions;
            old.retain(|version| !version.is_latest);
            if suspended {
                // It may be somebody's newest by now: where versions are suspended, all are written as
                // this one.
                let null = |version: &Version| version.version_id == NULL;
                for version in old.iter().filter(|it| null(it) && self.is_within(&it.key)) {
                    locked.insert(version.key.clone(), "versions are suspended".to_owned());
                }
                old.retain(|version| !null(version));
                page.marks.retain(|mark| !null(mark));
            }
            let named = old.into_iter().map(|version| (version.key, version.version_id));
            let (removed, stay) = self.remove("versionId", named, AT_ONCE).await?;
            self.kept.versions += removed;
            locked.extend(stay);
            waiting.extend(page.marks);
            // Of the last object there may be more on the next page.
            let last = next.is_some().then_some(page.next_key_marker);
            let (later, marks): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|mark| last.as_ref() == Some(&mark.key));
            waiting = later;
            let marks = marks.into_iter().filter(|mark| !locked.contains_key(&mark.key));
            let named = marks.map(|mark| (mark.key, mark.version_id));
            // One after the other: which one is the newest changes with each.
            let (removed, stay) = self.remove("versionId", named, 1).await?;
            self.kept.versions += removed;
            let left = locked.values().chain(stay.values());
            self.kept.left.extend(left.map(|why| format!("old versions: {why}")));
            // No other page has them.
            locked.retain(|key, _| last.as_ref() == Some(key));
            match next {
                Some(next) => page = next,
                None => return Ok(Ok(())),
            }
        }
    }

    async fn versions_behind(&self, at: &Marker) -> Result<Result<Versions, Refused>, LakeError> {
        self.watch.go_on()?;
        let (key, id) = (&*at.0, &*at.1);
        let query = [("prefix", &*self.prefix), ("key-marker", key), ("version-id-marker", id)];
        self.bucket.ask("versions", &query).await
    }
}

/// A time as the API writes it, in epoch milliseconds; one that cannot be read has not come yet.
fn millis(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).map_or(i64::MAX, |time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_that_does_not_go_on_is_told() {
        let marker = |key: &str, id: &str| (key.to_owned(), id.to_owned());
        assert_eq!(goes_on(&Marker::default(), marker("a", "1")), Ok(marker("a", "1")));
        assert_eq!(goes_on(&marker("a", "1"), marker("a", "2")), Ok(marker("a", "2")));
        for to in [marker("a", "1"), marker("", "2"), marker("b", "")] {
            assert!(goes_on(&marker("a", "1"), to).is_err());
        }
    }

    #[test]
    fn answers_are_read_as_the_api_gives_them() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>b</Bucket><KeyMarker/><IsTruncated>true</IsTruncated>
              <NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>
              <Upload><Key>a/b</Key><UploadId>1</UploadId><StorageClass>STANDARD</StorageClass>
                <Initiated>2026-01-31T12:00:00.000Z</Initiated></Upload>
              <Upload><Key>a/c</Key><UploadId>2</UploadId>
                <Initiated>2026-01-31T12:00:01.000Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#;
        let page: Uploads = quick_xml::de::from_str(text).unwrap();
        assert_eq!((page.uploads.len(), page.is_truncated), (2, true));
        assert_eq!((page.next_key_marker, page.next_upload_id_marker), ("k".into(), "u".into()));
        assert_eq!(millis(&page.uploads[0].initiated), 1_769_860_800_000);
        // Versions and marks come in the order of their keys.
        let text = r#"<ListVersionsResult><IsTruncated>false</IsTruncated>
            <Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>
              <LastModified>2026-01-31T12:00:00Z</LastModified><Size>3</Size></Version>
            <DeleteMarker><Key>a</Key><VersionId>2</VersionId><IsLatest>true</IsLatest>
              <LastModified>2026-01-31T12:00:00Z</LastModified></DeleteMarker>
            <Version><Key>b</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>
              <LastModified>2026-01-31T12:00:00Z</LastModified></Version>
            </ListVersionsResult>"#;
        let page: Versions = quick_xml::de::from_str(text).unwrap();
        assert_eq!((page.versions.len(), page.marks.len()), (2, 1));
        let never: Versioning = quick_xml::de::from_str("<VersioningConfiguration/>").unwrap();
        assert!(never.status.is_none());
    }
}
