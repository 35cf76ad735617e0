//! The configuration together with where each value comes from.

use std::collections::BTreeMap;

use super::environment::given;
use super::keys::{FREE, Section, sections};
use super::layers::Layers;
use super::secret::{HIDDEN, shown};
use super::{Config, ConfigError, LogFormat, Origin, Overrides};

/// Variables of the environment that S3 is reached with, and whether they are no secret.
const S3: [(&str, bool); 7] = [
    ("AWS_ENDPOINT_URL", true),
    ("AWS_ALLOW_HTTP", true),
    ("AWS_REGION", true),
    ("AWS_DEFAULT_REGION", true),
    ("AWS_ACCESS_KEY_ID", false),
    ("AWS_SECRET_ACCESS_KEY", false),
    ("AWS_SESSION_TOKEN", false),
];

/// A configuration whose values are known to make sense, and who gave them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Settings {
    /// Flags win over environment, environment over the file, the file over defaults.
    ///
    /// # Errors
    /// Names the file, the key and who gave it, and what is wrong.
    pub fn load(overrides: Overrides) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(file) = &overrides.file {
            layers.file(file)?;
        }
        layers.variables(given(&overrides.environment, &sections())?);
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        layers.flag(&["storage"], overrides.storage, "--storage");
        layers.flag(&["state_dir"], overrides.state_dir.map(text), "--state-dir");
        layers.flag(&["keys_dir"], overrides.keys_dir.map(text), "--keys-dir");
        layers.flag(&["listen"], overrides.listen.map(|listen| listen.to_string()), "--listen");
        layers.flag(&["pipeline", "dir"], overrides.pipeline.map(text), "--pipeline");
        for (name, value) in overrides.options {
            layers.flag(&["pipeline", "options", &name], Some(value), "--option");
        }
        layers.flag(&["log", "format"], overrides.log_format.map(LogFormat::word), "--log-format");
        layers.flag(&["log", "filter"], overrides.log_filter, "--log-filter");
        let (config, origins) = layers.config()?;
        let settings = Self { config, origins };
        settings.config.check().map_err(|error| settings.located(error))?;
        Ok(settings)
    }

    /// Who gave the value of a key.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// The error, with who gave the value that it is about.
    pub fn located(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Value { key, reason, origin: None } => {
                let origin = self.origins.get(&key).cloned();
                ConfigError::Value { key, reason, origin }
            }
            other => other,
        }
    }

    /// All values as TOML, each with who gave it, without what is secret. `environment` are the
    /// variables, of which those of S3 are told too.
    pub fn shown(&self, environment: &[(String, String)]) -> String {
        let all = toml::Value::try_from(&self.config).unwrap_or(toml::Value::Boolean(false));
        let mut text = String::new();
        for section in sections() {
            for name in self.names(&section, &all) {
                let Some(values) = inner(&all, &name) else { continue };
                let mut lines = String::new();
                for (word, value) in values.iter().filter(|(_, value)| !value.is_table()) {
                    let key = match name.is_empty() {
                        true => word.clone(),
                        false => format!("{name}.{word}"),
                    };
                    let value = hidden(&key, value);
                    let word = quoted(word);
                    lines += &format!("{word} = {value}  # {}\n", self.origin(&key));
                }
                if !name.is_empty() && !lines.is_empty() {
                    let name = name.split('.').map(quoted).collect::<Vec<_>>().join(".");
                    text += &format!("\n[{name}]\n");
                }
                text += &lines;
            }
        }
        let find = |name: &str| environment.iter().find(|(given, _)| given == name);
        for (name, (_, value), open) in
            S3.iter().filter_map(|(name, open)| Some((name, find(name)?, open)))
        {
            let value = if *open { shown(name, value) } else { HIDDEN.to_owned() };
            text += &format!("\n# {name} = {value} (environment)");
        }
        text.trim_end().to_owned() + "\n"
    }

    /// The sections that there are of one whose name is free in part.
    fn names(&self, section: &Section, all: &toml::Value) -> Vec<String> {
        match section.name.split_once(&format!(".{FREE}")) {
            Some((above, _)) => {
                let there = inner(all, above).into_iter().flatten();
                there.map(|(word, _)| format!("{above}.{word}")).collect()
            }
            None => {
                // Values under free names are a section of their own.
                let free = section.keys.iter().filter(|key| key.name.ends_with(FREE));
                let free = free.map(|key| key.name.trim_end_matches(FREE).trim_end_matches('.'));
                std::iter::once(section.name.as_str()).chain(free).map(str::to_owned).collect()
            }
        }
    }
}

fn inner<'a>(all: &'a toml::Value, name: &str) -> Option<&'a toml::Table> {
    let mut words = name.split('.').filter(|word| !word.is_empty());
    words.try_fold(all, |value, word| value.get(word)).and_then(toml::Value::as_table)
}

fn hidden(key: &str, value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(shown(key, text)),
        toml::Value::Array(all) => {
            toml::Value::Array(all.iter().map(|value| hidden(key, value)).collect())
        }
        value => value.clone(),
    }
}

/// A word as TOML writes keys.
fn quoted(word: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !word.is_empty() && word.chars().all(is_bare) {
        true => word.to_owned(),
        false => toml::Value::String(word.to_owned()).to_string(),
    }
}
