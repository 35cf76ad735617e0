//! `stedi-server demo`: the main job on one machine with nothing to install.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use stedi_openapi::{Code, SnapshotRequest};

use super::demo_report::{self, Progress};
use super::serve::Listening;
use super::stop::Stop;
use super::{Common, Failure, Outcome};
use crate::api::ApiState;
use crate::app::{App, verifier};
use crate::config::Config;
use crate::lake::Author;
use crate::landing::{Content, LandingError, files_of};
use crate::ledger::audit::{Action, Draft, End, Outcome as Ended};
use crate::metrics::Metrics;
use crate::pipeline::Sight;
use crate::sample::Sample;

/// How long the audit may take to append its last records.
const AUDIT_PATIENCE: Duration = Duration::from_secs(30);

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    pub common: Common,
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
    pub async fn run(self, config: Config) -> Outcome {
        if self.source.is_none() && config.pipeline.dir.is_some() {
            return Err("sample data is made for the built-in pipeline; name --source DIR".into());
        }
        if let Some(folder) = self.source.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(format!("--source {}: no such folder", folder.display()).into());
        }
        // Before the work, so that a port that is taken is known at once.
        let metrics = Metrics::new();
        let listening = match self.exit {
            true => None,
            false => Some(Listening::bind(&config, &metrics).await?),
        };
        let mut stop = Stop::new()?;
        let app = tokio::select! {
            app = self.work(&config, metrics) => app?,
            () = stop.told() => return Err("stopped".into()),
        };
        match listening {
            None => {
                app.audit.close(AUDIT_PATIENCE).await;
                Ok(())
            }
            Some(listening) => {
                let verifier = Arc::new(verifier(&config).await?);
                demo_report::commands(&config, &listening.url())?;
                listening.serve(ApiState { app: Arc::new(app), verifier }, stop).await
            }
        }
    }

    /// Everything but serving.
    async fn work(&self, config: &Config, metrics: Metrics) -> Result<App, Failure> {
        let started = Instant::now();
        let app = App::open_with(config, metrics).await?;
        println!("lake at {}", app.lake.location());

        let folder = match &self.source {
            Some(folder) => folder.clone(),
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
        if !app.pipeline.snapshot.tables.is_empty() {
            keep(&app).await?;
        }
        if let Some(demo) = &app.pipeline.demo {
            demo_report::answer(&app, &demo.query).await?;
        }
        println!("\n{:.1} s in all", started.elapsed().as_secs_f64());
        Ok(app)
    }
}

/// Loads the files of every source in the order of their names; the sources at the same time.
async fn load(app: &App, folder: &Path) -> Outcome {
    let mut sources = Vec::new();
    let mut bytes = 0;
    for source in &app.pipeline.sources {
        let mut files = Vec::new();
        for path in files_of(&folder.join(&source.folder))? {
            let size = std::fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
            bytes += size.len();
            files.push(path);
        }
        sources.push((source.name.as_str(), files));
    }
    if sources.iter().all(|(_, files)| files.is_empty()) {
        return Err(format!("no files to load under {}", folder.display()).into());
    }
    let progress = Progress::bytes("loading", bytes);
    let loads = sources.into_iter().map(async |(table, files)| {
        let mut results = Vec::with_capacity(files.len());
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = File::open(&path).map_err(|source| unreadable(&path, source))?;
            progress.name(&name);
            let draft = Draft { tables: [(table.to_owned(), None)].into(), ..draft(Action::Load) };
            let content = Content { name: name.clone(), reader: progress.read(file), most: None };
            let open = app.audit.begin(draft).await?;
            let result = match app.landing.load(table, content, &author(), None).await {
                Ok(result) => result,
                Err(error) => {
                    open.end(End::other(Ended::Failed, "load_failed")).await?;
                    return Err(error.into());
                }
            };
            let tables = Some([(table.to_owned(), Some(result.version))].into());
            open.end(End { rows_in: Some(result.accepted), tables, ..End::ok() }).await?;
            results.push((name, result));
        }
        Ok::<_, Failure>(results)
    });
    let results = futures::future::try_join_all(loads).await?;
    progress.finish();
    let mut report = demo_report::Loads::default();
    for (name, result) in results.into_iter().flatten() {
        report.add(&name, result);
    }
    report.print();
    Ok(())
}

/// What the history of the tables says about who did it.
fn author() -> Author {
    Author::new("demo")
}

fn unreadable(path: &Path, source: std::io::Error) -> LandingError {
    LandingError::Read { name: path.display().to_string(), source }
}

/// What the demo does is recorded as done by `demo`.
fn draft(action: Action) -> Draft {
    Draft { principal: Some("demo".to_owned()), ..Draft::new(action, "stedi-server demo") }
}

/// Takes a snapshot, unless a consent has ended: nothing carries that out before somebody serves.
async fn keep(app: &App) -> Outcome {
    let open = app.audit.begin(draft(Action::Snapshot)).await?;
    let request = SnapshotRequest::default();
    match app.snapshots.create("demo", &Sight::All, &request, None).await {
        Ok(manifest) => {
            open.end(End::ok()).await?;
            demo_report::snapshot(&manifest);
            Ok(())
        }
        Err(error) => {
            open.end(End::other(Ended::Failed, error.code().name())).await?;
            if error.code() != Code::Redacting {
                return Err(error.into());
            }
            println!("\nno snapshot: {error}");
            Ok(())
        }
    }
}

async fn promote(app: &App) -> Outcome {
    let progress = Progress::steps("promoting", app.pipeline.derived.len());
    let open = app.audit.begin(draft(Action::Promotion)).await?;
    let runs = match app.promotion.run(&author(), |run| progress.step(&run.table)).await {
        Ok(runs) => runs,
        Err(error) => {
            open.end(End::other(Ended::Failed, "promotion_failed")).await?;
            return Err(error.into());
        }
    };
    let tables = runs.iter().map(|run| (run.table.clone(), Some(run.version)));
    let rows = runs.iter().map(|run| run.rows_inserted).sum();
    open.end(End { rows_in: Some(rows), tables: Some(tables.collect()), ..End::ok() }).await?;
    progress.finish();
    demo_report::runs(&runs);
    Ok(())
}
