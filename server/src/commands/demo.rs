//! `stedi-server demo`: the main job on one machine with nothing to install.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use super::demo_report::{self, Progress};
use super::serve::{listen, serve};
use super::{Common, Outcome};
use crate::app::App;
use crate::landing::files_of;
use crate::sample::Sample;

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    common: Common,
    /// Your own data: a folder with customer, accelerometer and step_trainer, or the folders that
    /// your pipeline names
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scale", "seed"])]
    source: Option<PathBuf>,
    /// Size of the sample data, in thousands of customers
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Seed of the sample data: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop when everything is shown, instead of serving
    #[arg(long)]
    exit: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.001..=100_000.0).contains(&scale) => Ok(scale),
        _ => Err("expected a number between 0.001 and 100000".to_owned()),
    }
}

impl Demo {
    pub async fn run(self) -> Outcome {
        let own_pipeline = self.common.pipeline.is_some();
        let config = self.common.config()?;
        if self.source.is_none() && (own_pipeline || config.pipeline.dir.is_some()) {
            return Err("sample data is made for the built-in pipeline; name --source DIR".into());
        }
        if let Some(folder) = self.source.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(format!("--source {}: no such folder", folder.display()).into());
        }
        // Before the work, so that a port that is taken is known at once.
        let listener = match self.exit {
            true => None,
            false => Some(listen(config.listen).await?),
        };
        let started = Instant::now();
        let app = App::open(&config).await?;
        println!("lake at {}", app.lake.location());

        let folder = match self.source {
            Some(folder) => folder,
            None => {
                let sample = Sample { seed: self.seed, scale: self.scale };
                let folder = config.state_dir.join(format!("sample-{}-{}", self.seed, self.scale));
                println!("sample data in {}", folder.display());
                sample.write(&folder)?;
                folder
            }
        };
        load(&app, &folder).await?;
        promote(&app).await?;
        demo_report::tables(&app).await?;
        if let Some(demo) = &app.pipeline.demo {
            demo_report::answer(&app, &demo.query).await?;
        }
        println!("\n{:.1} s in all", started.elapsed().as_secs_f64());
        match listener {
            None => Ok(()),
            Some(listener) => serve(listener, Arc::new(app)).await,
        }
    }
}

/// Loads the files of every source, in the order of their names.
async fn load(app: &App, folder: &std::path::Path) -> Outcome {
    let mut files = Vec::new();
    for source in &app.pipeline.sources {
        let found = files_of(&folder.join(&source.folder))?;
        files.extend(found.into_iter().map(|file| (source.name.as_str(), file)));
    }
    if files.is_empty() {
        return Err(format!("no files to load under {}", folder.display()).into());
    }
    let progress = Progress::new("loading", files.len());
    let mut report = demo_report::Loads::default();
    for (table, path) in files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        progress.step(&name);
        let file =
            std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        report.add(&name, app.landing.load(table, &name, file).await?);
    }
    progress.finish();
    report.print();
    Ok(())
}

async fn promote(app: &App) -> Outcome {
    let progress = Progress::new("promoting", app.pipeline.derived.len());
    let runs = app.promotion.run(|run| progress.step(&run.table)).await?;
    progress.finish();
    demo_report::runs(&runs);
    Ok(())
}
