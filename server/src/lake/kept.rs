//! What a bucket keeps beside its objects: old versions of them, and the parts of uploads that were
//! never completed. No listing of objects shows either.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde::Deserialize;

use super::bucket::{Bucket, Refused};
use super::error::LakeError;
use super::store::Lake;
use super::watch::Watch;

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
    except: Option<String>,
    watch: &'a Watch,
    kept: &'a mut Kept,
}

impl Lake {
    /// Removes what the bucket keeps beside its objects below a folder of the lake (`""` for all of it),
    /// but for a folder in it: uploads that were begun before a moment, in epoch milliseconds, and all
    /// old versions, which nothing reads. Nothing where the lake is in a folder. A store that does not
    /// know of them, or refuses, as it does for versions that are locked, is no error: [`Kept::left`]
    /// says so.
    ///
    /// # Errors
    /// [`LakeError::Cancelled`], or if the bucket cannot be asked.
    pub async fn remove_kept(
        &self,
        folder: &str,
        except: Option<&str>,
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
        let (prefix, except) = (prefix(folder), except.map(prefix));
        let mut sweep = Sweep { bucket, prefix, except, watch, kept: &mut kept };
        if let Err(Left(reason)) = sweep.uploads(begun_before).await? {
            sweep.kept.left.insert(format!("unfinished uploads: {reason}"));
        }
        if let Err(Left(reason)) = sweep.versions().await? {
            sweep.kept.left.insert(format!("old versions: {reason}"));
        }
        Ok(kept)
    }
}

/// Why something is left.
struct Left(String);

impl From<Refused> for Left {
    fn from(Refused(status): Refused) -> Self {
        Self(format!("the store answers {status}"))
    }
}

impl Sweep<'_> {
    /// Whether a key is one of those: not every store keeps to the prefix that it is asked for.
    fn is_within(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && !self.except.as_ref().is_some_and(|it| key.starts_with(it))
    }

    async fn uploads(&mut self, begun_before: i64) -> Result<Result<(), Left>, LakeError> {
        let mut page = match self.uploads_behind("", "").await? {
            Ok(page) => page,
            Err(refused) => return Ok(Err(refused.into())),
        };
        loop {
            // First, so that the listing goes on behind something that is there.
            let next = match page.is_truncated {
                false => None,
                true => {
                    let (key, id) = (&page.next_key_marker, &page.next_upload_id_marker);
                    match self.uploads_behind(key, id).await? {
                        Ok(page) => Some(page),
                        Err(refused) => return Ok(Err(refused.into())),
                    }
                }
            };
            for Upload { key, upload_id, initiated } in page.uploads {
                if self.is_within(&key) && millis(&initiated) < begun_before {
                    self.watch.go_on()?;
                    if let Err(refused) = self.bucket.remove(&key, "uploadId", &upload_id).await? {
                        return Ok(Err(refused.into()));
                    }
                    self.kept.uploads += 1;
                }
            }
            match next {
                Some(next) => page = next,
                None => return Ok(Ok(())),
            }
        }
    }

    async fn uploads_behind(
        &self,
        key: &str,
        id: &str,
    ) -> Result<Result<Uploads, Refused>, LakeError> {
        self.watch.go_on()?;
        let query = [("prefix", &*self.prefix), ("key-marker", key), ("upload-id-marker", id)];
        self.bucket.ask("uploads", &query).await
    }

    /// A mark goes behind all versions of its object: without it the version before it would be there
    /// again.
    async fn versions(&mut self) -> Result<Result<(), Left>, LakeError> {
        match self.bucket.ask::<Versioning>("versioning", &[]).await? {
            // Where there never were versions there are none to list.
            Ok(Versioning { status: None }) => return Ok(Ok(())),
            Ok(_) => {}
            Err(refused) => return Ok(Err(refused.into())),
        }
        let mut page = match self.versions_behind("", "").await? {
            Ok(page) => page,
            Err(refused) => return Ok(Err(refused.into())),
        };
        let mut waiting: Vec<Version> = Vec::new();
        loop {
            // First, so that the listing goes on behind something that is there.
            let next = match page.is_truncated {
                false => None,
                true => {
                    let (key, id) = (&page.next_key_marker, &page.next_version_id_marker);
                    match self.versions_behind(key, id).await? {
                        Ok(page) => Some(page),
                        Err(refused) => return Ok(Err(refused.into())),
                    }
                }
            };
            let old = page.versions.into_iter().filter(|version| !version.is_latest);
            waiting.extend(page.marks);
            // Of the last object there may be more on the next page.
            let last = next.is_some().then_some(page.next_key_marker);
            let (later, marks): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|mark| last.as_ref() == Some(&mark.key));
            waiting = later;
            for Version { key, version_id, .. } in old.chain(marks) {
                if self.is_within(&key) {
                    self.watch.go_on()?;
                    let removed = self.bucket.remove(&key, "versionId", &version_id).await?;
                    if let Err(refused) = removed {
                        return Ok(Err(refused.into()));
                    }
                    self.kept.versions += 1;
                }
            }
            match next {
                Some(next) => page = next,
                None => return Ok(Ok(())),
            }
        }
    }

    async fn versions_behind(
        &self,
        key: &str,
        id: &str,
    ) -> Result<Result<Versions, Refused>, LakeError> {
        self.watch.go_on()?;
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
