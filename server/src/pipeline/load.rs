//! Reading a pipeline: from files to a model that was found to be sound.

use std::collections::BTreeMap;

use super::error::PipelineError;
use super::files::{DECLARATION, PipelineFiles};
use super::model::{Demo, Pipeline, Rhythm};
use super::spec::Spec;
use super::{check, consent, graph, planned, snapshot};

impl Pipeline {
    /// Reads, checks, orders and plans a pipeline. `options` replace the declared defaults.
    ///
    /// # Errors
    /// Names the file, table and column of the first thing that is wrong.
    pub async fn load(
        files: &PipelineFiles,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, PipelineError> {
        let text = files.text(DECLARATION).ok_or_else(|| PipelineError::Syntax {
            file: DECLARATION.to_owned(),
            message: "missing: a pipeline is declared there".to_owned(),
        })?;
        let spec = Spec::parse(DECLARATION, text)?;
        let chosen = check::options(&spec, options)?;
        check::spec(&spec, files)?;
        let order = graph::order(&spec)?;
        let grants = check::grants(&spec)?;
        let consent = consent::consent(&spec)?;
        let snapshot = snapshot::snapshot(&spec)?;
        let sources = check::sources(spec.sources);
        let known = planned::Known { sources: &sources, consent: consent.as_ref() };
        let derived = planned::derived(&known, spec.derived, &order, files, &chosen).await?;
        Ok(Self {
            name: spec.name,
            options: chosen,
            demo: spec.demo.map(|demo| Demo { query: demo.query }),
            rhythm: Rhythm {
                schedule: spec.promotion.schedule,
                after_load_seconds: spec.promotion.after_load_seconds,
            },
            grants,
            consent,
            snapshot,
            sources,
            derived,
        })
    }
}
