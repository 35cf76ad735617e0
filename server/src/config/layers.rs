//! What file, environment and flags give, one over the other, and who gave it.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::environment::Given;
use super::secret::is_secret;
use super::{Config, ConfigError, Origin};

/// Values by key; a later one wins.
#[derive(Debug, Default)]
pub(super) struct Layers {
    given: toml::Table,
    /// Of keys, and of the sections of the file.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Takes what a TOML file says.
    ///
    /// # Errors
    /// If it cannot be read, or is not TOML.
    pub fn file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
        let wrong = |error: toml::de::Error| ConfigError::Syntax {
            file: file.to_owned(),
            line: line(&text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        let places = DeTable::parse(&text).map_err(wrong)?;
        let mut origins = BTreeMap::new();
        note(places.get_ref(), "", &mut |name, at| {
            let origin = Origin::File { file: file.to_owned(), line: line(&text, at) };
            origins.insert(name, origin);
        });
        self.given = text.parse().map_err(wrong)?;
        self.origins = origins;
        Ok(())
    }

    /// Takes what variables give.
    pub fn variables(&mut self, all: Vec<Given>) {
        for given in all {
            let path: Vec<&str> = given.path.iter().map(String::as_str).collect();
            self.set(&path, given.value, given.origin);
        }
    }

    /// Takes what a flag gives, if it is given.
    pub fn flag(&mut self, path: &[&str], value: Option<impl Into<String>>, flag: &'static str) {
        if let Some(value) = value {
            self.set(path, toml::Value::String(value.into()), Origin::Flag(flag));
        }
    }

    fn set(&mut self, path: &[&str], value: toml::Value, origin: Origin) {
        let Some((last, sections)) = path.split_last() else { return };
        let mut table = &mut self.given;
        for section in sections {
            let inner = table
                .entry((*section).to_owned())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            // A section that is no table is an error soon.
            let Some(inner) = inner.as_table_mut() else { return };
            table = inner;
        }
        table.insert((*last).to_owned(), value);
        self.origins.insert(path.join("."), origin);
    }

    /// The configuration that they make over the defaults.
    ///
    /// # Errors
    /// The first key that is not known, or whose value is not of its kind.
    pub fn config(self) -> Result<(Config, BTreeMap<String, Origin>), ConfigError> {
        let config = serde_path_to_error::deserialize(toml::Value::Table(self.given));
        let config = config.map_err(|error| {
            let key = error.path().to_string();
            let reason = match is_secret(&key) {
                true => "cannot be read".to_owned(),
                false => error.inner().message().to_owned(),
            };
            let origin = self.origins.get(&key).cloned();
            ConfigError::Value { key, reason, origin }
        })?;
        Ok((config, self.origins))
    }
}

/// Tells of every key and section where it is.
fn note(table: &DeTable<'_>, above: &str, tell: &mut impl FnMut(String, usize)) {
    for (key, value) in table {
        let word = key.get_ref();
        let name = if above.is_empty() { word.to_string() } else { format!("{above}.{word}") };
        tell(name.clone(), key.span().start);
        if let DeValue::Table(inner) = value.get_ref() {
            note(inner, &name, tell);
        }
    }
}

/// The line of a byte, from 1 on.
fn line(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}
