//! Section `[log]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is written to standard error, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// One line of text or one JSON object for each event.
    pub format: LogFormat,
    /// Which events: `info`, or `warn,stedi_server=debug`. What a command takes otherwise depends on
    /// the command.
    pub filter: Option<String>,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl LogFormat {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format of a word.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".to_owned()),
        }
    }
}
