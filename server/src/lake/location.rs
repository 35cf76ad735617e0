//! Where a lake is: a folder or a bucket with a prefix.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::error::LakeError;

/// The root of a lake. Its URL always ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    url: Url,
}

impl Location {
    /// Takes a folder, `file:///…` or `s3://bucket/prefix`. A folder is made if it is missing.
    ///
    /// # Errors
    /// [`LakeError::Location`] if it is none of these, or the folder cannot be made.
    pub fn parse(given: &str) -> Result<Self, LakeError> {
        let wrong = |reason: String| LakeError::Location { given: given.to_owned(), reason };
        match Url::parse(given) {
            Ok(url) if url.scheme() == "s3" => bucket(url).map_err(wrong),
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| wrong("not a local path".to_owned()))?;
                folder(path).map_err(wrong)
            }
            Ok(url) if given.contains("://") => {
                Err(wrong(format!("{}:// is not supported; use a folder or s3://", url.scheme())))
            }
            _ if given.is_empty() => Err(wrong("empty".to_owned())),
            _ => folder(PathBuf::from(given)).map_err(wrong),
        }
    }

    /// The root URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL of a folder below the root, with `/` at its end.
    pub fn folder(&self, path: &str) -> Result<Url, LakeError> {
        self.url.join(&format!("{path}/")).map_err(|error| LakeError::Location {
            given: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The local folder, if the lake is in one.
    pub fn local(&self) -> Option<PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local() {
            Some(path) => f.write_str(path.to_string_lossy().trim_end_matches('/')),
            None => f.write_str(self.url.as_str().trim_end_matches('/')),
        }
    }
}

fn bucket(mut url: Url) -> Result<Location, String> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no bucket; use s3://bucket/prefix".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err("keys and endpoints come from the AWS_* variables, not from the URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a bucket and a prefix, nothing behind them".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(Location { url })
}

fn folder(path: PathBuf) -> Result<Location, String> {
    std::fs::create_dir_all(&path).map_err(|error| format!("cannot be made: {error}"))?;
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let url = Url::from_directory_path(&path).map_err(|()| "not an absolute path".to_owned())?;
    Ok(Location { url })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gets_a_slash_at_its_end() {
        let location = Location::parse("s3://bucket/a/b").unwrap();
        assert_eq!(location.url().as_str(), "s3://bucket/a/b/");
        assert_eq!(location.to_string(), "s3://bucket/a/b");
        assert_eq!(location.folder("landing/t").unwrap().as_str(), "s3://bucket/a/b/landing/t/");
    }

    #[test]
    fn what_is_not_a_lake_says_why() {
        for (given, reason) in [
            ("", "empty"),
            ("gs://bucket", "not supported"),
            ("s3:///prefix", "no bucket"),
            ("s3://key:secret@bucket/", "AWS_*"),
            ("s3://bucket/a?b=c", "nothing behind"),
            ("/dev/null/lake", "cannot be made"),
        ] {
            let error = Location::parse(given).unwrap_err().to_string();
            assert!(error.contains(reason), "{given}: {error}");
            assert!(!error.contains("secret:"), "{error}");
        }
    }
}
