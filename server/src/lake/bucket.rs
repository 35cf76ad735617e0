//! What a bucket keeps beside its objects: old versions of them, and the parts of uploads that were
//! never completed. No listing of objects shows either, and the client of the store knows neither; so
//! these few requests are made here, signed by its signer.

use std::time::Duration;

use axum::http::{Method, Request};
use chrono::DateTime;
use deltalake::logstore::object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer,
};
use deltalake::logstore::object_store::client::{
    HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use deltalake::logstore::object_store::signer::Signer;
use deltalake::logstore::object_store::{ClientOptions, Error as StoreError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::LakeError;
use super::store::{Lake, store_options};
use super::watch::Watch;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a bucket keeps below a folder of the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    uploads: Vec<Upload>,
    versions: Vec<Version>,
    /// What the store does not tell, and why. It may keep something there.
    pub untold: Vec<String>,
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
    last_modified: String,
    /// Whether it is a mark.
    #[serde(skip)]
    mark: bool,
}

/// `ListMultipartUploads` of the S3 API.
#[derive(Deserialize)]
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

/// `ListObjectVersions` of the S3 API.
#[derive(Deserialize)]
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

/// A bucket, asked directly.
#[derive(Debug)]
pub(super) struct Bucket {
    http: HttpClient,
    s3: AmazonS3,
    region: String,
    url: Url,
}

impl Kept {
    /// Unfinished uploads.
    pub fn uploads(&self) -> usize {
        self.uploads.len()
    }

    /// Old versions, and marks of deleted objects.
    pub fn versions(&self) -> usize {
        self.versions.len()
    }
}

impl Lake {
    /// What the bucket keeps beside its objects below a folder of the lake (`""` for all of it) that
    /// is older than a moment, in epoch milliseconds. Nothing where the lake is in a folder.
    ///
    /// # Errors
    /// If the bucket cannot be asked. A store that does not know the question is no error: what it
    /// does not tell is in [`Kept::untold`].
    pub async fn kept(&self, folder: &str, before: i64, watch: &Watch) -> Result<Kept, LakeError> {
        let mut kept = Kept::default();
        let Some(bucket) = self.bucket()? else { return Ok(kept) };
        let root = self.root.as_ref();
        let prefix = [root, folder]
            .iter()
            .filter(|it| !it.is_empty())
            .fold(String::new(), |prefix, part| format!("{prefix}{part}/"));
        match bucket.uploads(&prefix, watch).await? {
            Ok(uploads) => kept.uploads = uploads,
            Err(reason) => kept.untold.push(format!("unfinished uploads: {reason}")),
        }
        match bucket.versions(&prefix, watch).await? {
            Ok(versions) => kept.versions = versions,
            Err(reason) => kept.untold.push(format!("old versions: {reason}")),
        }
        kept.uploads.retain(|upload| millis(&upload.initiated) < before);
        kept.versions.retain(|version| {
            (!version.is_latest || version.mark) && millis(&version.last_modified) < before
        });
        Ok(kept)
    }

    /// Removes what the bucket keeps.
    ///
    /// # Errors
    /// [`LakeError::Cancelled`], or if the bucket refuses, as it does for versions that are locked.
    pub async fn remove_kept(&self, kept: Kept, watch: &Watch) -> Result<(), LakeError> {
        let Some(bucket) = self.bucket()? else { return Ok(()) };
        for Upload { key, upload_id, .. } in kept.uploads {
            watch.go_on()?;
            bucket.remove(&key, "uploadId", &upload_id).await?;
        }
        // A mark goes last: without it the version before it would be there again.
        let mut versions = kept.versions;
        versions.sort_by_key(|version| version.mark);
        for Version { key, version_id, .. } in versions {
            watch.go_on()?;
            bucket.remove(&key, "versionId", &version_id).await?;
        }
        Ok(())
    }

    /// A URL of the store at which anybody gets an object for some time (whole seconds); none where
    /// the lake is in a folder.
    ///
    /// # Errors
    /// If there are no credentials, or the time is longer than the store takes.
    pub async fn presigned(&self, path: &str, time: Duration) -> Result<Option<Url>, LakeError> {
        let Some(bucket) = self.bucket()? else { return Ok(None) };
        let key = self.object(path);
        let signed = bucket.s3.signed_url(Method::GET, &key, time).await;
        Ok(Some(signed.map_err(|error| of_store(path, error))?))
    }

    /// The bucket that the lake is in, made once: its clients read the authorities that they trust,
    /// which takes some ten milliseconds.
    fn bucket(&self) -> Result<Option<&Bucket>, LakeError> {
        if self.location.url().scheme() != "s3" {
            return Ok(None);
        }
        if let Some(bucket) = self.bucket.get() {
            return Ok(Some(bucket));
        }
        let bucket = Bucket::of(self.location.url())?;
        Ok(Some(self.bucket.get_or_init(|| bucket)))
    }
}

impl Bucket {
    fn of(location: &Url) -> Result<Self, LakeError> {
        let name = location.host_str().unwrap_or_default();
        let failed = |source| of_store(name, source);
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
        for (key, value) in store_options() {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let known = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        let region = known(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let virtual_hosted =
            known(AmazonS3ConfigKey::VirtualHostedStyleRequest).is_some_and(|it| it == "true");
        let url = match known(AmazonS3ConfigKey::Endpoint) {
            Some(endpoint) if virtual_hosted => endpoint,
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://s3.{region}.amazonaws.com/{name}"),
        };
        let url = Url::parse(&url).map_err(|error| LakeError::Unreadable {
            path: name.to_owned(),
            reason: error.to_string(),
        })?;
        let options =
            ClientOptions::new().with_allow_http(url.scheme() == "http").with_timeout(PATIENCE);
        let http = ReqwestConnector::default().connect(&options).map_err(failed)?;
        let s3 = builder.build().map_err(failed)?;
        Ok(Self { http, s3, region, url })
    }

    async fn uploads(
        &self,
        prefix: &str,
        watch: &Watch,
    ) -> Result<Result<Vec<Upload>, String>, LakeError> {
        let (mut all, mut key, mut id) = (Vec::new(), String::new(), String::new());
        loop {
            watch.go_on()?;
            let query = [("prefix", prefix), ("key-marker", &key), ("upload-id-marker", &id)];
            let page: Uploads = match self.ask("uploads", &query).await? {
                Ok(page) => page,
                Err(reason) => return Ok(Err(reason)),
            };
            // Not every store keeps to the prefix.
            all.extend(page.uploads.into_iter().filter(|upload| upload.key.starts_with(prefix)));
            if !page.is_truncated {
                return Ok(Ok(all));
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    async fn versions(
        &self,
        prefix: &str,
        watch: &Watch,
    ) -> Result<Result<Vec<Version>, String>, LakeError> {
        match self.ask::<Versioning>("versioning", &[]).await? {
            // Where there never were versions there are none to list.
            Ok(Versioning { status: None }) => return Ok(Ok(Vec::new())),
            Ok(_) => {}
            Err(reason) => return Ok(Err(reason)),
        }
        let (mut all, mut key, mut id) = (Vec::new(), String::new(), String::new());
        loop {
            watch.go_on()?;
            let query = [("prefix", prefix), ("key-marker", &key), ("version-id-marker", &id)];
            let page: Versions = match self.ask("versions", &query).await? {
                Ok(page) => page,
                Err(reason) => return Ok(Err(reason)),
            };
            let marks = page.marks.into_iter().map(|mark| Version { mark: true, ..mark });
            let both = page.versions.into_iter().chain(marks);
            // The current ones may be many, and are not looked at.
            all.extend(both.filter(|it| it.key.starts_with(prefix) && (!it.is_latest || it.mark)));
            if !page.is_truncated {
                return Ok(Ok(all));
            }
            (key, id) = (page.next_key_marker, page.next_version_id_marker);
        }
    }

    /// Asks about the bucket; in words why the store does not tell.
    async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Result<T, String>, LakeError> {
        let mut url = self.url.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair(what, "");
            pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        }
        let (status, body) = self.send(Method::GET, &url).await?;
        if status != 200 {
            return Ok(Err(format!("the store answers {status}")));
        }
        let text = String::from_utf8_lossy(&body);
        Ok(quick_xml::de::from_str(&text).map_err(|error| format!("not readable: {error}")))
    }

    async fn remove(&self, key: &str, what: &str, id: &str) -> Result<(), LakeError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), escaped(key)));
        url.query_pairs_mut().append_pair(what, id);
        match self.send(Method::DELETE, &url).await? {
            (200..=299 | 404, _) => Ok(()),
            (status, _) => Err(LakeError::Unreadable {
                path: key.to_owned(),
                reason: format!("the store answers {status} to the removal of what it keeps of it"),
            }),
        }
    }

    async fn send(&self, method: Method, url: &Url) -> Result<(u16, Vec<u8>), LakeError> {
        let unsent = |reason: String| LakeError::Unreadable { path: String::new(), reason };
        let request = Request::builder().method(method).uri(url.as_str());
        let mut request: HttpRequest =
            request.body(HttpRequestBody::empty()).map_err(|error| unsent(error.to_string()))?;
        let credential = self.s3.credentials().get_credential().await;
        let credential = credential.map_err(|error| of_store("", error))?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| unsent(error.to_string()))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().bytes().await;
        Ok((status, body.map_err(|error| unsent(error.to_string()))?.to_vec()))
    }
}

/// A key as it is signed: everything but unreserved characters and slashes is escaped.
fn escaped(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}

/// A time as the API writes it, in epoch milliseconds; one that cannot be read has not come yet.
fn millis(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).map_or(i64::MAX, |time| time.timestamp_millis())
}

fn of_store(path: &str, source: StoreError) -> LakeError {
    LakeError::Object { path: path.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_as_they_are_signed() {
        assert_eq!(escaped("a/b c+ü~.x"), "a/b%20c%2B%C3%BC~.x");
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
