//! `stedi-server config`: checks the configuration, shows it, prints the documented file.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Common, Outcome, SERVE_LOG, environment, located, log};
use crate::app::check;
use crate::config::{Config, documented, markdown};
use crate::edge::check_tls;
use crate::traces::traces;

/// Flags of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Looks whether file, environment and flags can be used, as far as can be known without the lake
    Check {
        #[command(flatten)]
        common: Common,
    },
    /// Prints the values that count and who gave each, without secrets
    Show {
        #[command(flatten)]
        common: Common,
    },
    /// Prints a file with every key, its default, unit and variable
    Default {
        /// As the page docs/configuration.md
        #[arg(long)]
        markdown: bool,
    },
}

impl ConfigCommand {
    pub async fn run(self) -> Outcome {
        let text = match self.action {
            Action::Check { common } => {
                let settings = common.settings()?;
                checked(&settings.config).await.map_err(|error| located(error, &settings))?;
                "the configuration can be used\n".to_owned()
            }
            Action::Show { common } => common.settings()?.shown(&environment()),
            Action::Default { markdown: true } => markdown(),
            Action::Default { markdown: false } => documented(),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// All that a server would find out before it opens its lake.
async fn checked(config: &Config) -> Outcome {
    log::filter(&config.log, SERVE_LOG)?;
    if let Some(tls) = &config.http.tls {
        check_tls(tls)?;
    }
    traces(&config.traces)?;
    Ok(check(config).await?)
}
