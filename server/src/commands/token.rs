//! `stedi-server token`: signs a token with the local key, for development and bootstrap.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::{Outcome, QUIET_LOG, environment, log};
use crate::app::token_rules;
use crate::auth::{LocalKey, Role};
use crate::config::{Config, Overrides};

/// Flags of `token`.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// What its owner may do: ingest, analyst, trainer or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// Whose token it is
    #[arg(long, value_name = "NAME", default_value = "developer")]
    subject: String,
    /// How long it is valid: a number and s, m, h or d
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: Duration,
    /// The folder that holds the server's local key [env: STEDI_STATE_DIR] [default: ./.stedi]
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

impl Token {
    pub fn run(self) -> Outcome {
        let config = Config::load(Overrides {
            file: self.config,
            environment: environment(),
            state_dir: self.state_dir,
            keys_dir: self.keys_dir,
            ..Overrides::default()
        })?;
        log::begin(&config.log, None, QUIET_LOG)?;
        if config.auth.jwks.is_some() {
            eprintln!("note: this configuration names a JWKS; its server accepts no local token");
        }
        let key = LocalKey::open(&config.auth_key())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = token_rules(&config).claims(&self.subject, self.role, now, self.ttl);
        println!("{}", key.sign(&claims)?);
        Ok(())
    }
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name)
        .ok_or_else(|| format!("expected one of {}", Role::ALL.map(Role::name).join(", ")))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number above 0 and s, m, h or d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    // A century is more than any token needs, and keeps sums of times far from overflow.
    match count.checked_mul(seconds) {
        Some(seconds @ 1..=3_155_760_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong()),
    }
}
