//! Where files may be imported from: what the configuration names, and what is below it.

use std::path::Path;

use crate::lake::{LakeError, Location};

/// The places that the configuration allows.
#[derive(Clone, Debug)]
pub struct Allowed(Vec<Location>);

/// A source that is not one of them.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a place that this server may import from (landing.import_from)")]
pub struct NotAllowed(pub String);

impl Allowed {
    /// These places; a folder has to be there.
    ///
    /// # Errors
    /// [`LakeError::Location`] if one is no folder and no bucket.
    pub fn new(places: &[String]) -> Result<Self, LakeError> {
        let places = places.iter().map(|place| {
            location(place).ok_or_else(|| LakeError::Location {
                given: place.clone(),
                reason: "expected a folder that is there, or s3://bucket/prefix".to_owned(),
            })?
        });
        Ok(Self(places.collect::<Result<_, _>>()?))
    }

    /// A source that is one of them, or below one. Whether a folder that is not allowed is there
    /// cannot be told from the answer.
    ///
    /// # Errors
    /// [`NotAllowed`] for all others.
    pub fn source(&self, text: &str) -> Result<Location, NotAllowed> {
        let not_allowed = || NotAllowed(text.chars().take(256).collect());
        let source = location(text).and_then(Result::ok).ok_or_else(not_allowed)?;
        let below = |place: &Location| source.url().as_str().starts_with(place.url().as_str());
        match self.0.iter().any(below) {
            true => Ok(source),
            false => Err(not_allowed()),
        }
    }
}

/// A place as a URL that ends with a slash; links of a folder are followed first. `None` for a folder
/// that is not there.
fn location(text: &str) -> Option<Result<Location, LakeError>> {
    let folder = text.strip_prefix("file://").unwrap_or(text);
    let elsewhere = folder.contains("://");
    (elsewhere || Path::new(folder).is_dir()).then(|| Location::parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_an_allowed_place() {
        let folder = std::env::temp_dir().join(format!("stedi-allowed-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(folder.join("in/deeper")).unwrap();
        std::fs::create_dir_all(folder.join("inside")).unwrap();
        std::os::unix::fs::symlink(folder.join("inside"), folder.join("in/link")).unwrap();
        let path = |below: &str| folder.join(below).display().to_string();
        let allowed = Allowed::new(&[path("in"), "s3://bucket/a".to_owned()]).unwrap();
        for ok in [path("in"), path("in/deeper/"), "s3://bucket/a".into(), "s3://bucket/a/b".into()]
        {
            assert!(allowed.source(&ok).is_ok(), "{ok}");
        }
        for no in [
            path("inside"),
            path("in/../inside"),
            path("in/link"),
            path("in/missing"),
            "/".into(),
            "".into(),
            "s3://bucket/ab".into(),
            "s3://bucket/a/../b".into(),
            "s3://other/a".into(),
            "http://bucket/a".into(),
        ] {
            assert!(allowed.source(&no).is_err(), "{no}");
        }
        assert!(!folder.join("in/missing").exists());
        assert!(Allowed::new(&[path("missing")]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
