//! Section `[pipeline]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which pipeline, with which options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// A folder with `pipeline.toml` and its SELECTs; the built-in pipeline if there is none.
    #[schema(value_type = Option<String>)]
    pub dir: Option<PathBuf>,
    /// Values of the pipeline's options.
    pub options: BTreeMap<String, String>,
}
