//! The configuration: flags win over environment, environment over the file, the file over
//! defaults.

mod audit;
mod auth;
mod error;
mod file;
mod landing;
mod memory;
mod pipeline;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use audit::AuditConfig;
pub use auth::AuthConfig;
pub use error::ConfigError;
pub use landing::LandingConfig;
pub use memory::MemoryConfig;
pub use pipeline::PipelineConfig;

/// Everything a server needs to know.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The lake: a folder, `file:///…` or `s3://bucket/prefix`.
    pub storage: String,
    /// Keys and scratch space of this server; never in the lake.
    pub state_dir: PathBuf,
    /// Address to serve on.
    pub listen: SocketAddr,
    /// Which pipeline, with which options.
    pub pipeline: PipelineConfig,
    /// What landing takes.
    pub landing: LandingConfig,
    /// What plans may use.
    pub memory: MemoryConfig,
    /// Whose tokens are accepted.
    pub auth: AuthConfig,
    /// How the audit is kept.
    pub audit: AuditConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: "./.stedi/lake".to_owned(),
            state_dir: PathBuf::from("./.stedi"),
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            pipeline: PipelineConfig::default(),
            landing: LandingConfig::default(),
            memory: MemoryConfig::default(),
            auth: AuthConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

/// What flags and environment say; `None` where they say nothing.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// See [`Config::storage`].
    pub storage: Option<String>,
    /// See [`Config::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`PipelineConfig::dir`].
    pub pipeline: Option<PathBuf>,
    /// See [`PipelineConfig::options`]; each wins over one of the file.
    pub options: Vec<(String, String)>,
}

impl Config {
    /// The configuration file, if one is named, with the overrides on top.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn load(overrides: Overrides) -> Result<Self, ConfigError> {
        let mut config = match &overrides.file {
            Some(file) => file::read(file)?,
            None => Self::default(),
        };
        config.storage = overrides.storage.unwrap_or(config.storage);
        config.state_dir = overrides.state_dir.unwrap_or(config.state_dir);
        config.listen = overrides.listen.unwrap_or(config.listen);
        config.pipeline.dir = overrides.pipeline.or(config.pipeline.dir);
        config.pipeline.options.extend(overrides.options);
        Ok(config)
    }

    /// The file of the key that signs tokens for development.
    pub fn auth_key(&self) -> PathBuf {
        self.state_dir.join("auth.key")
    }

    /// The file of the key that makes pseudonyms.
    pub fn subject_key(&self) -> PathBuf {
        self.state_dir.join("subject.key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_win_over_defaults_and_leave_the_rest() {
        let overrides = Overrides { storage: Some("s3://b".into()), ..Overrides::default() };
        let config = Config::load(overrides).unwrap();
        assert_eq!(config, Config { storage: "s3://b".into(), ..Config::default() });
    }
}
