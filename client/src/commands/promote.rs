//! `stedi promote`: derived tables are brought up to date, live.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use clap::Args;
use futures::TryStreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stedi_client::{ClientError, Server};
use stedi_openapi::{PromotedTable, PromotionInfo, PromotionRequest, TableState, WorkState};

use super::{Format, show};

/// How long a server that went away is waited for: another one takes its run over.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Flags of `promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// Derived tables; all without any
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Does not wait for the end
    #[arg(long)]
    no_wait: bool,
}

impl Promote {
    pub async fn run(self, server: &Server, format: Format) -> Result<(), ClientError> {
        let tables = (!self.tables.is_empty()).then_some(self.tables);
        let asked = server.promote(&PromotionRequest { tables }).await?;
        let run = match self.no_wait {
            true => asked,
            false => to_the_end(server, asked).await?,
        };
        let header = ["table", "state", "mode", "inserted", "deleted", "version", "seconds", "why"];
        let rows = run.what.tables.iter().map(row);
        match format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&run)?),
            Format::Csv => show::csv(header, rows),
            Format::Table => show::columns(header, rows),
        }
        for table in &run.what.tables {
            for check in table.checks.iter().filter(|check| !check.holds) {
                let (name, rule, broken) = (&table.table, &check.rule, check.broken);
                eprintln!("{name}: {}: {rule:?} is broken by {broken}", check.action);
            }
            if let Some(error) = &table.error {
                eprintln!("{}: {} ({})", table.table, error.detail, error.code);
            }
        }
        match run.state {
            WorkState::Succeeded => Ok(()),
            state if self.no_wait && !state.is_final() => Ok(()),
            state => {
                let what = format!("promotion {}", run.id);
                Err(ClientError::Ended { what, state: state.name() })
            }
        }
    }
}

/// Shows a run until it has ended. An interrupt cancels it; a second one leaves it alone.
async fn to_the_end(server: &Server, asked: PromotionInfo) -> Result<PromotionInfo, ClientError> {
    let mut screen = Screen::new(&asked);
    let id = asked.id.clone();
    let followed = follow(server, asked, &mut screen);
    let run = tokio::select! {
        run = followed => run,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("cancelling promotion {id}");
            server.cancel_promotion(&id).await
        }
    };
    screen.clear();
    run
}

async fn follow(
    server: &Server,
    mut run: PromotionInfo,
    screen: &mut Screen,
) -> Result<PromotionInfo, ClientError> {
    let mut heard = Instant::now();
    while !run.state.is_final() {
        let broken = async {
            let mut events = server.promotion_events(&run.id).await?;
            while let Some(now) = events.try_next().await? {
                heard = Instant::now();
                screen.show(&now);
                run = now;
            }
            Ok::<_, ClientError>(())
        }
        .await;
        match broken {
            // Its server says that there is no such run, or something else that stays.
            Err(error) if error.problem().is_some_and(|it| (400..500).contains(&it.status)) => {
                return Err(error);
            }
            Err(error) if heard.elapsed() > PATIENCE => return Err(error),
            _ if !run.state.is_final() => tokio::time::sleep(PAUSE).await,
            _ => {}
        }
    }
    Ok(run)
}

/// A line per table on a terminal; elsewhere a line for each table that has ended.
struct Screen {
    bars: Option<Vec<ProgressBar>>,
    /// What holds the lines together.
    all: MultiProgress,
    ended: usize,
}

impl Screen {
    fn new(run: &PromotionInfo) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner} {prefix:28} {msg}");
        let bars = stderr().is_terminal().then(|| {
            let bars = run.what.tables.iter().map(|table| {
                let bar = all.add(ProgressBar::new_spinner()).with_prefix(table.table.clone());
                match &style {
                    Ok(style) => bar.with_style(style.clone()),
                    Err(_) => bar,
                }
            });
            bars.collect()
        });
        let mut screen = Self { bars, all, ended: 0 };
        screen.show(run);
        screen
    }

    fn show(&mut self, run: &PromotionInfo) {
        if let Some(bars) = &self.bars {
            for (bar, table) in bars.iter().zip(&run.what.tables) {
                bar.set_message(line(table));
                match table.state {
                    TableState::Running => bar.enable_steady_tick(Duration::from_millis(100)),
                    state if state.is_final() => bar.finish(),
                    _ => {}
                }
            }
            return;
        }
        let ended = run.what.tables.iter().take_while(|table| table.state.is_final()).count();
        for table in run.what.tables.iter().take(ended).skip(self.ended) {
            eprintln!("{}: {}", table.table, line(table));
        }
        self.ended = self.ended.max(ended);
    }

    fn clear(&self) {
        // A terminal that is gone need not be tidied.
        let _ = self.all.clear();
    }
}

fn line(table: &PromotedTable) -> String {
    let seconds = table.millis as f64 / 1000.0;
    match table.state {
        TableState::Queued => "waits".to_owned(),
        TableState::Running => {
            format!("{} rows read, {} written, {seconds:.1} s", table.rows_read, table.rows_written)
        }
        TableState::Succeeded => {
            let mode = table.mode.as_deref().unwrap_or("?");
            format!("{mode}, +{} -{}, {seconds:.1} s", table.rows_inserted, table.rows_deleted)
        }
        TableState::Failed => "failed".to_owned(),
        TableState::Skipped => table.why.clone().unwrap_or_else(|| "skipped".to_owned()),
        TableState::Cancelled => "cancelled".to_owned(),
    }
}

fn row(table: &PromotedTable) -> [String; 8] {
    let state = match table.state {
        TableState::Queued => "queued",
        TableState::Running => "running",
        TableState::Succeeded => "succeeded",
        TableState::Failed => "failed",
        TableState::Skipped => "skipped",
        TableState::Cancelled => "cancelled",
    };
    [
        table.table.clone(),
        state.to_owned(),
        table.mode.clone().unwrap_or_default(),
        table.rows_inserted.to_string(),
        table.rows_deleted.to_string(),
        table.version.map(|version| version.to_string()).unwrap_or_default(),
        format!("{:.3}", table.millis as f64 / 1000.0),
        table.why.clone().unwrap_or_default(),
    ]
}
