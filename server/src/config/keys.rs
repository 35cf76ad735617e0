//! Every key there is, with what the code says of it.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use super::{Config, RoleLimitsConfig, TlsConfig};

/// In the place of a name that is free.
pub const FREE: &str = "*";

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// With its section: `http.tls.key`, `limits.roles.*.seconds`.
    pub name: String,
    /// What its value is.
    pub kind: Kind,
    /// The words that it may be, if not any.
    pub words: Vec<String>,
    /// What it is about.
    pub text: String,
    /// What it is if nobody gives it; `None` for nothing.
    pub default: Option<toml::Value>,
    /// Whether its section cannot do without it.
    pub required: bool,
}

/// The keys of one section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name; empty for the keys above all sections.
    pub name: String,
    /// What it is about.
    pub text: String,
    /// Whether it is there only if somebody writes it.
    pub optional: bool,
    /// Its own keys.
    pub keys: Vec<Key>,
}

impl Key {
    /// The part behind its section.
    pub fn word(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// The unit of a number, which its name ends with, or what the value is.
    pub fn unit(&self) -> &'static str {
        let units = [
            ("seconds", "seconds"),
            ("ms", "milliseconds"),
            ("hours", "hours"),
            ("bytes", "bytes"),
            ("rows", "rows"),
        ];
        let word = self.word();
        let last = word.rsplit('_').next().unwrap_or_default();
        match self.kind {
            Kind::Integer => {
                units.iter().find(|(end, _)| *end == last).map_or("number", |(_, unit)| unit)
            }
            Kind::Text => "text",
            Kind::Boolean => "true or false",
            Kind::Texts => "list of texts",
        }
    }

    /// The variable of the environment that gives it; one with `*` for a name that is free.
    pub fn variable(&self) -> String {
        // Older than the rule.
        let name = if self.name == "pipeline.dir" { "pipeline" } else { &self.name };
        format!("STEDI_{}", name.replace('.', "_").to_uppercase())
    }
}

/// All sections; that of the keys above all sections comes first.
pub fn sections() -> Vec<Section> {
    let mut schemas = Vec::new();
    Config::schemas(&mut schemas);
    let schemas = schemas.into_iter().map(|(name, schema)| (name, value(&schema))).collect();
    let mut walk = Walk { schemas, sample: sample(), sections: Vec::new() };
    let text = "Above all sections.".to_owned();
    walk.section("", &value(&Config::schema()), text, false);
    walk.sections
}

/// A configuration that has every section.
fn sample() -> toml::Value {
    let mut config = Config::default();
    config.http.tls = Some(TlsConfig::of("".into(), "".into()));
    config.limits.roles.insert(FREE.to_owned(), RoleLimitsConfig::default());
    toml::Value::try_from(config).unwrap_or(toml::Value::Boolean(false))
}

fn value(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

struct Walk {
    schemas: BTreeMap<String, Value>,
    sample: toml::Value,
    sections: Vec<Section>,
}

impl Walk {
    fn section(&mut self, name: &str, schema: &Value, text: String, optional: bool) {
        let mut section = Section { name: name.to_owned(), text, optional, keys: Vec::new() };
        let mut inner = Vec::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (word, property) in schema["properties"].as_object().into_iter().flatten() {
            let full = if name.is_empty() { word.clone() } else { format!("{name}.{word}") };
            let text = self.text(property);
            let (schema, optional) = self.resolved(property);
            let (full, schema, optional) = match schema.get("additionalProperties") {
                Some(free) if free.is_object() => {
                    (format!("{full}.{FREE}"), self.resolved(free).0, true)
                }
                _ => (full, schema, optional),
            };
            if schema.get("properties").is_some() {
                inner.push((full, schema, text, optional));
                continue;
            }
            section.keys.push(Key {
                kind: kind(&schema),
                words: words(&schema),
                text,
                default: self.default(&full),
                required: required.contains(&Value::String(word.clone())),
                name: full,
            });
        }
        self.sections.push(section);
        for (name, schema, text, optional) in inner {
            self.section(&name, &schema, text, optional);
        }
    }

    /// What is said of a value; where that may be missing, it stands within.
    fn text(&self, property: &Value) -> String {
        let choices = property["oneOf"].as_array().into_iter().flatten();
        let mut all = std::iter::once(property).chain(choices);
        all.find_map(|schema| schema["description"].as_str()).unwrap_or_default().to_owned()
    }

    /// What a schema refers to, and whether the value may be missing.
    fn resolved(&self, schema: &Value) -> (Value, bool) {
        if let Some(choices) = schema["oneOf"].as_array() {
            let given = choices.iter().find(|choice| choice["type"] != "null");
            return (given.map(|given| self.resolved(given).0).unwrap_or_default(), true);
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return (self.schemas.get(name).cloned().unwrap_or_default(), false);
        }
        (schema.clone(), schema["type"].is_array())
    }

    fn default(&self, name: &str) -> Option<toml::Value> {
        let found = name.split('.').try_fold(&self.sample, |value, word| value.get(word));
        found.filter(|found| found.as_str() != Some("")).cloned()
    }
}

fn kind(schema: &Value) -> Kind {
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let is = |kind: &str| kinds.iter().any(|it| it == kind);
    match () {
        () if is("integer") => Kind::Integer,
        () if is("boolean") => Kind::Boolean,
        () if is("array") => Kind::Texts,
        () => Kind::Text,
    }
}

fn words(schema: &Value) -> Vec<String> {
    let words = schema["enum"].as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_code_says_is_known() {
        let sections = sections();
        let key = |name: &str| {
            let mut keys = sections.iter().flat_map(|section| &section.keys);
            keys.find(|key| key.name == name).unwrap_or_else(|| panic!("{name}")).clone()
        };
        let leeway = key("auth.leeway_seconds");
        assert_eq!((leeway.kind, leeway.unit()), (Kind::Integer, "seconds"));
        assert_eq!(leeway.default, Some(toml::Value::Integer(30)));
        assert_eq!(leeway.variable(), "STEDI_AUTH_LEEWAY_SECONDS");
        assert!(leeway.text.contains("clocks"), "{leeway:?}");
        assert_eq!(key("http.tls.handshake_seconds").default, Some(toml::Value::Integer(10)));
        let certificate = key("http.tls.certificate");
        assert!(certificate.required && certificate.default.is_none(), "{certificate:?}");
        assert_eq!(key("limits.roles.*.nesting").default, Some(toml::Value::Integer(48)));
        assert_eq!(key("log.format").words, ["text", "json"]);
        assert_eq!(key("landing.import_from").kind, Kind::Texts);
        assert_eq!(key("audit.fsync").kind, Kind::Boolean);
        assert_eq!(key("pipeline.dir").variable(), "STEDI_PIPELINE");
        assert_eq!((key("auth.jwks").kind, key("auth.jwks").default), (Kind::Text, None));
        assert_eq!(key("promotion.after_load_seconds").kind, Kind::Integer);
        assert_eq!(key("pipeline.options.*").kind, Kind::Text);
    }

    #[test]
    fn every_key_is_described_and_has_a_variable_of_its_own() {
        let sections = sections();
        let mut variables = std::collections::BTreeSet::new();
        for section in &sections {
            assert!(!section.text.is_empty(), "{section:?}");
            for key in &section.keys {
                assert!(!key.text.is_empty(), "{key:?}");
                assert!(variables.insert(key.variable()), "{key:?}");
            }
        }
        assert!(variables.len() > 80, "{}", variables.len());
    }
}
