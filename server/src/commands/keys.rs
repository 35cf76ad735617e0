//! `stedi-server keys`: makes the keys that all servers of a lake share.

use std::path::PathBuf;

use clap::Args;

use super::{Outcome, QUIET_LOG, environment, log};
use crate::config::{Config, Overrides};
use crate::key_file;

/// Flags of `keys`.
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The folder that holds the servers' keys [env: STEDI_STATE_DIR] [default: ./.stedi]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The same where keys have a folder of their own [env: STEDI_KEYS_DIR]
    /// [default: the state folder]
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(long, env = "STEDI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Keys {
    /// A key that is there stays as it is.
    pub fn run(self) -> Outcome {
        let config = Config::load(Overrides {
            file: self.config,
            environment: environment(),
            state_dir: self.state_dir,
            keys_dir: self.keys_dir,
            ..Overrides::default()
        })?;
        log::begin(&config.log, None, QUIET_LOG)?;
        let files = [
            config.subject_key(),
            config.suppression_keys(),
            config.certificate_key(),
            config.auth_key(),
        ];
        for file in files {
            let there = file.exists();
            if !there {
                key_file::read_or_make(&file)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
            println!("{} {}", if there { "kept" } else { "made" }, file.display());
        }
        Ok(())
    }
}
