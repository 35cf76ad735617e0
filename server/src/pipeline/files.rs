//! Where a pipeline's files come from: a folder of the user's, or the one built in.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use super::error::PipelineError;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/pipelines/stedi");

/// Name of the declaration inside a pipeline's folder.
pub(super) const DECLARATION: &str = "pipeline.toml";

/// The text of a pipeline's files by file name.
#[derive(Clone, Debug)]
pub struct PipelineFiles {
    texts: BTreeMap<String, String>,
}

impl PipelineFiles {
    /// The pipeline that the program was built with.
    pub fn built_in() -> Self {
        let texts = BUILT_IN
            .files()
            .filter_map(|file| {
                let name = file.path().file_name()?.to_str()?;
                Some((name.to_owned(), file.contents_utf8()?.to_owned()))
            })
            .collect();
        Self { texts }
    }

    /// Reads `pipeline.toml` and every `.sql` file of a folder.
    pub fn read(folder: &Path) -> Result<Self, PipelineError> {
        let unreadable =
            |file: &Path, source| PipelineError::Unreadable { file: file.into(), source };
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            let path = entry.map_err(|error| unreadable(folder, error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name == DECLARATION || name.ends_with(".sql") {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
                texts.insert(name.to_owned(), text);
            }
        }
        Ok(Self { texts })
    }

    /// Files from texts in memory, by file name.
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        Self { texts: texts.into_iter().map(|(name, text)| (name.into(), text.into())).collect() }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Names of the `.sql` files without their ending.
    pub(super) fn statements(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().filter_map(|name| name.strip_suffix(".sql"))
    }
}
