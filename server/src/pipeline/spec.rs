//! `pipeline.toml` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::column::{Class, Kind};
use super::error::PipelineError;
use super::quality::CheckAction;
use super::zone::Zone;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub name: String,
    #[serde(default, rename = "option")]
    pub options: Vec<OptionSpec>,
    pub demo: Option<DemoSpec>,
    pub consent: Option<ConsentSpec>,
    #[serde(default)]
    pub promotion: PromotionSpec,
    #[serde(default)]
    pub snapshot: SnapshotSpec,
    #[serde(default, rename = "role")]
    pub roles: Vec<RoleSpec>,
    #[serde(default, rename = "source")]
    pub sources: Vec<SourceSpec>,
    #[serde(default, rename = "derived")]
    pub derived: Vec<DerivedSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionSpec {
    pub name: String,
    pub values: Vec<String>,
    pub default: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentSpec {
    pub customers: String,
    pub date: String,
    pub consenting: String,
    pub revocations: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromotionSpec {
    pub schedule: Option<String>,
    pub after_load_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotSpec {
    pub tables: Option<Vec<String>>,
    pub splits: Option<BTreeMap<String, u32>>,
    #[serde(default)]
    pub after_promotion: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoSpec {
    pub query: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleSpec {
    pub name: String,
    pub zones: Vec<Zone>,
    pub classes: Vec<Class>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceSpec {
    pub name: String,
    pub description: Option<String>,
    pub folder: String,
    pub subject: Option<String>,
    pub device: Option<String>,
    #[serde(default)]
    pub claims: bool,
    #[serde(default)]
    pub recorded: Vec<String>,
    pub measured: Option<String>,
    #[serde(default)]
    pub any_of: Vec<String>,
    #[serde(default)]
    pub columns: Vec<SourceColumnSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceColumnSpec {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub class: Option<Class>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub aliases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DerivedSpec {
    pub name: String,
    pub description: Option<String>,
    pub zone: Zone,
    pub sources: Vec<String>,
    #[serde(default)]
    pub linear: Vec<String>,
    pub replace_by: String,
    #[serde(default)]
    pub columns: Vec<DerivedColumnSpec>,
    #[serde(default, rename = "check")]
    pub checks: Vec<CheckSpec>,
}

/// A quality rule; one of `not_null`, `unique`, `column` with `min` and `max`, `rows` and
/// `condition`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckSpec {
    pub name: Option<String>,
    #[serde(default)]
    pub action: CheckAction,
    pub not_null: Option<Vec<String>>,
    pub unique: Option<Vec<String>>,
    pub column: Option<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub rows: Option<RowsSpec>,
    pub condition: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsSpec {
    pub min: Option<u64>,
    pub max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DerivedColumnSpec {
    pub name: String,
    pub class: Option<Class>,
}

impl Spec {
    /// Reads the TOML text; an error names line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, PipelineError> {
        toml::from_str(text).map_err(|error| PipelineError::Syntax {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })
    }
}
