//! The configuration: flags win over environment, environment over the file, the file over
//! defaults.

mod audit;
mod auth;
mod consent;
mod error;
mod file;
mod http;
mod lake;
mod landing;
mod limits;
mod log;
mod maintenance;
mod memory;
mod metrics;
mod pipeline;
mod promotion;
mod sharing;
mod snapshot;
mod statements;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use audit::AuditConfig;
pub use auth::AuthConfig;
pub use consent::ConsentConfig;
pub use error::ConfigError;
pub use http::{HttpConfig, TlsConfig};
pub use lake::LakeConfig;
pub use landing::LandingConfig;
pub use limits::{LimitsConfig, RoleLimitsConfig};
pub use log::{LogConfig, LogFormat};
pub use maintenance::MaintenanceConfig;
pub use memory::MemoryConfig;
pub use metrics::MetricsConfig;
pub use pipeline::PipelineConfig;
pub use promotion::PromotionConfig;
pub use sharing::SharingConfig;
pub use snapshot::SnapshotConfig;
pub use statements::StatementsConfig;

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
    /// When promotions run, and how they are kept.
    pub promotion: PromotionConfig,
    /// How soon a withdrawn consent is obeyed.
    pub consent: ConsentConfig,
    /// How tables are shared.
    pub sharing: SharingConfig,
    /// How snapshots are made and given.
    pub snapshot: SnapshotConfig,
    /// How tables are kept quick and small.
    pub maintenance: MaintenanceConfig,
    /// What plans may use.
    pub memory: MemoryConfig,
    /// How tables are read.
    pub lake: LakeConfig,
    /// What statements may take.
    pub limits: LimitsConfig,
    /// How statements that run by themselves are kept and run.
    pub statements: StatementsConfig,
    /// Whose tokens are accepted.
    pub auth: AuthConfig,
    /// How HTTP is served.
    pub http: HttpConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Where metrics are served.
    pub metrics: MetricsConfig,
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
            promotion: PromotionConfig::default(),
            consent: ConsentConfig::default(),
            sharing: SharingConfig::default(),
            snapshot: SnapshotConfig::default(),
            maintenance: MaintenanceConfig::default(),
            memory: MemoryConfig::default(),
            lake: LakeConfig::default(),
            limits: LimitsConfig::default(),
            statements: StatementsConfig::default(),
            auth: AuthConfig::default(),
            http: HttpConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
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
    /// See [`LogConfig::format`].
    pub log_format: Option<LogFormat>,
    /// See [`LogConfig::filter`].
    pub log_filter: Option<String>,
}

impl Config {
    /// The configuration file, if one is named, with the overrides on top.
    ///
    /// # Errors
    /// Names the file or key and what is wrong in it.
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
        config.log.format = overrides.log_format.unwrap_or(config.log.format);
        config.log.filter = overrides.log_filter.or(config.log.filter);
        config.http.check()?;
        config.maintenance.check()?;
        config.snapshot.check()?;
        config.sharing.check()?;
        Ok(config)
    }

    /// The file of the key that signs tokens for development.
    pub fn auth_key(&self) -> PathBuf {
        self.state_dir.join("auth.key")
    }

    /// The file of the key that signs certificates.
    pub fn certificate_key(&self) -> PathBuf {
        self.state_dir.join("certificate.key")
    }

    /// The file of the keys of the suppression list.
    pub fn suppression_keys(&self) -> PathBuf {
        self.state_dir.join("suppression.keys")
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
