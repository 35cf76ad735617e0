//! `stedi-server suppression-key`: the keys of the suppression list, for operators.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Outcome, QUIET_LOG, environment, log};
use crate::config::{Config, Overrides};
use crate::ledger::Suppression;

/// Flags of `suppression-key`.
#[derive(Debug, Args)]
pub(super) struct SuppressionKey {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds a new key: erased customers are kept out under it from now on, and the older keys stay for
    /// those before. Copy the file to every server of the lake then
    Add {
        /// The folder that holds the server's keys [env: STEDI_STATE_DIR] [default: ./.stedi]
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
        /// The same where keys have a folder of their own [env: STEDI_KEYS_DIR]
        /// [default: the state folder]
        #[arg(long, value_name = "DIR")]
        keys_dir: Option<PathBuf>,
        /// Configuration file (TOML)
        #[arg(long, env = "STEDI_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

impl SuppressionKey {
    pub fn run(self) -> Outcome {
        let Action::Add { state_dir, keys_dir, config } = self.action;
        let environment = environment();
        let config = Config::load(Overrides {
            file: config,
            environment,
            state_dir,
            keys_dir,
            ..Overrides::default()
        })?;
        log::begin(&config.log, None, QUIET_LOG)?;
        let file = config.suppression_keys();
        let id = Suppression::add_key(&file)?;
        println!("added key {id} to {}", file.display());
        println!("copy this file to every server of the lake; the keys that were in it stay in it");
        Ok(())
    }
}
