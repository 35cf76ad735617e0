//! The configuration: flags win over environment, environment over the file, the file over
//! defaults.

mod audit;
mod auth;
mod consent;
mod document;
mod environment;
mod error;
mod http;
mod keys;
mod lake;
mod landing;
mod layers;
mod limits;
mod log;
mod maintenance;
mod memory;
mod metrics;
mod origin;
mod pipeline;
mod promotion;
mod secret;
mod settings;
mod sharing;
mod snapshot;
mod statements;
mod traces;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use error::filled;

pub use audit::AuditConfig;
pub use auth::AuthConfig;
pub use consent::ConsentConfig;
pub use document::{documented, markdown};
pub use error::ConfigError;
pub use http::{HttpConfig, TlsConfig};
pub use lake::LakeConfig;
pub use landing::LandingConfig;
pub use limits::{LimitsConfig, RoleLimitsConfig};
pub use log::{LogConfig, LogFormat};
pub use maintenance::MaintenanceConfig;
pub use memory::MemoryConfig;
pub use metrics::MetricsConfig;
pub use origin::Origin;
pub use pipeline::PipelineConfig;
pub use promotion::PromotionConfig;
pub use settings::Settings;
pub use sharing::SharingConfig;
pub use snapshot::SnapshotConfig;
pub use statements::StatementsConfig;
pub use traces::TracesConfig;

/// Everything a server needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The lake: a folder, `file:///…` or `s3://bucket/prefix`.
    pub storage: String,
    /// Keys and scratch space of this server; never in the lake.
    #[schema(value_type = String)]
    pub state_dir: PathBuf,
    /// The keys that all servers of a lake share; the state folder by default.
    #[schema(value_type = Option<String>)]
    pub keys_dir: Option<PathBuf>,
    /// Address to serve on.
    #[schema(value_type = String)]
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
    /// Where traces go (OpenTelemetry, OTLP over HTTP as JSON). They hold ids, routes, names of tables
    /// and counts; no principal, no statement, no values.
    pub traces: TracesConfig,
    /// How the audit is kept.
    pub audit: AuditConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: "./.stedi/lake".to_owned(),
            state_dir: PathBuf::from("./.stedi"),
            keys_dir: None,
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
            traces: TracesConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

/// What file, flags and environment say; `None` where they say nothing.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Variables of the environment, those of others among them.
    pub environment: Vec<(String, String)>,
    /// See [`Config::storage`].
    pub storage: Option<String>,
    /// See [`Config::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// See [`Config::keys_dir`].
    pub keys_dir: Option<PathBuf>,
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
    /// The configuration file, if one is named, with environment and flags on top.
    ///
    /// # Errors
    /// Names the file or key and what is wrong in it.
    pub fn load(overrides: Overrides) -> Result<Self, ConfigError> {
        Ok(Settings::load(overrides)?.config)
    }

    /// Whether the values make sense, as far as this floor knows.
    fn check(&self) -> Result<(), ConfigError> {
        filled("storage", &self.storage)?;
        filled("state_dir", &self.state_dir.to_string_lossy())?;
        self.landing.check()?;
        self.promotion.check()?;
        self.consent.check()?;
        self.sharing.check()?;
        self.snapshot.check()?;
        self.maintenance.check()?;
        self.memory.check()?;
        self.lake.check()?;
        self.limits.check()?;
        self.statements.check()?;
        self.auth.check()?;
        self.http.check()?;
        self.traces.check()?;
        self.audit.check()
    }

    /// The folder of the keys that all servers of a lake share.
    pub fn keys_dir(&self) -> &Path {
        self.keys_dir.as_deref().unwrap_or(&self.state_dir)
    }

    /// The file of the key that signs tokens for development.
    pub fn auth_key(&self) -> PathBuf {
        self.keys_dir().join("auth.key")
    }

    /// The file of the key that signs certificates.
    pub fn certificate_key(&self) -> PathBuf {
        self.keys_dir().join("certificate.key")
    }

    /// The file of the keys of the suppression list.
    pub fn suppression_keys(&self) -> PathBuf {
        self.keys_dir().join("suppression.keys")
    }

    /// The file of the key that makes pseudonyms.
    pub fn subject_key(&self) -> PathBuf {
        self.keys_dir().join("subject.key")
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

    #[test]
    fn what_a_file_says_wrong_is_told_with_key_and_line() {
        let folder = std::env::temp_dir().join(format!("stedi-config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("stedi.toml");
        let load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load(Overrides { file: Some(file.clone()), ..Overrides::default() })
        };
        let text = "storage = 'a'\nlisten = '127.0.0.1:1'\n[landing]\nrecord_bytes = 7\n";
        let config = load(text).unwrap();
        assert_eq!((config.listen.port(), config.landing.record_bytes), (1, 7));
        for (text, expected) in [
            ("storage = 'a'\nlissten = 'x'\n", "lissten: unknown field `lissten`, expected"),
            ("\n[http]\n\nheaders = 'x'\n", "http.headers: invalid type: string \"x\", expected"),
            ("[http]\nheaders = 101\n", "http.headers: 101 is not within 1 to 100 ("),
            ("[http]\nheaders = -1\n", "http.headers: invalid value: integer `-1`, expected"),
            ("\n[http.tls]\nkey = 'k'\n", "http.tls: missing field `certificate` ("),
            ("[log]\nformat = 'xml'\n", "log.format: unknown variant `xml`, expected"),
            ("listen = 'here'\n", "listen: invalid socket address syntax ("),
            ("[limits.roles.analyst]\nnestling = 1\n", "limits.roles.analyst.nestling: unknown"),
            ("[limits.roles.analyst]\nnesting = 0\n", "limits.roles.analyst.nesting: 0 is not"),
            ("[landing]\nimport_from = 'x'\n", "landing.import_from: invalid type: string"),
            ("storage = \n", "line 1: "),
            ("[http]\n[http]\n", "line 2: duplicate key"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            // The wrong word stands in the last line.
            let place = format!("stedi.toml, line {}", text.lines().count());
            let lines = if text.contains("tls") { "stedi.toml, line 2" } else { place.as_str() };
            assert!(error.contains(lines), "{text}: {error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn flags_win_over_environment_and_environment_over_the_file() {
        let folder = std::env::temp_dir().join(format!("stedi-config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("stedi.toml");
        std::fs::write(&file, "storage = 'a'\nstate_dir = 'a'\n[auth]\nissuer = 'a'\n").unwrap();
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let environment = [("STEDI_STORAGE", "b"), ("STEDI_STATE_DIR", "b")].map(owned).to_vec();
        let overrides = Overrides {
            file: Some(file.clone()),
            environment,
            storage: Some("c".into()),
            ..Overrides::default()
        };
        let settings = Settings::load(overrides).unwrap();
        let config = &settings.config;
        let values = [&config.storage, config.state_dir.to_str().unwrap(), &config.auth.issuer];
        assert_eq!(values, ["c", "b", "a"]);
        assert_eq!(settings.origin("storage"), &Origin::Flag("--storage"));
        assert_eq!(settings.origin("state_dir"), &Origin::Variable("STEDI_STATE_DIR".into()));
        assert_eq!(settings.origin("auth.issuer"), &Origin::File { file, line: 4 });
        assert_eq!(settings.origin("auth.audience"), &Origin::Default);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
