//! From the configuration to the services: opens the lake, loads the pipeline, checks the key.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use stedi_openapi::LoadResult;

use crate::auth::{Freshness, JwksSource, KeyError, Keys, LocalKey, Role, TokenRules, Verifier};
use crate::config::{Config, ConfigError, LimitsConfig, MaintenanceConfig};
use crate::consent::{
    CertificateError, Certificates, ConsentRules, Holds, Looks, Revocations, Saga, Secrets,
    SigningKey,
};
use crate::lake::{CompactionRules, Lake, LakeError, Location, SessionLimits};
use crate::landing::{Allowed, ImportRules, Imports, Landing, LandingError, LandingLimits};
use crate::ledger::audit::{Audit, AuditError, AuditLimits, declared};
use crate::ledger::{Deny, LedgerError, SubjectKey, Suppression, WorkRules};
use crate::maintenance::{Backup, BackupError, CopyState, Maintenance, MaintenanceRules};
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, PipelineError, PipelineFiles};
use crate::promotion::{
    Promotion, PromotionError, PromotionRules, Promotions, Schedule, declared as runs,
};
use crate::query::{
    Bounds, Catalog, Limits, Query, QueryError, QueueLimits, StatementLimits, Statements,
    StatementsRules,
};
use crate::sharing::{Sharing, SharingRules};
use crate::snapshot::{Snapshots, SnapshotsRules};

/// Everything that runs on one lake.
#[derive(Debug)]
pub struct App {
    /// What is counted and measured.
    pub metrics: Metrics,
    /// The lake.
    pub lake: Lake,
    /// Its tables' declaration.
    pub pipeline: Arc<Pipeline>,
    /// JSON comes in.
    pub landing: Arc<Landing>,
    /// Files that lie somewhere come in.
    pub imports: Imports,
    /// Derived tables are brought up to date.
    pub promotion: Promotion,
    /// Runs that do so.
    pub promotions: Promotions,
    /// Tables are kept quick and small.
    pub maintenance: Maintenance,
    /// What tables there are.
    pub catalog: Catalog,
    /// Statements are answered.
    pub query: Query,
    /// Statements run by themselves.
    pub statements: Statements,
    /// What was done is recorded.
    pub audit: Audit,
    /// Whose rows no read returns.
    pub deny: Deny,
    /// Tables are shared with programs of others.
    pub sharing: Sharing,
    /// Customers withdraw their consent.
    pub revocations: Revocations,
    /// Tables as they were, for training.
    pub snapshots: Snapshots,
    /// Whose records are kept out.
    pub suppression: Suppression,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The pipeline.
    #[error("pipeline: {0}")]
    Pipeline(#[from] PipelineError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The subject key.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The keys of tokens.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Landing tables.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// Derived tables.
    #[error(transparent)]
    Promotion(#[from] PromotionError),
    /// Statements.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A copy of a lake.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The key that signs certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl App {
    /// Opens a lake. The pipeline is checked before the store is touched, and the key before any
    /// table is made.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub async fn open(config: &Config) -> Result<Self, AppError> {
        Self::open_with(config, Metrics::new()).await
    }

    /// The same, counted in metrics that somebody else counts in too.
    ///
    /// # Errors
    /// See [`App::open`].
    pub async fn open_with(config: &Config, metrics: Metrics) -> Result<Self, AppError> {
        roles_are_known(&config.limits)?;
        let pipeline = Arc::new(pipeline(config).await?);
        let rules = promotion_rules(config, &pipeline)?;
        let importing = import_rules(config)?;
        let lake = lake(config, &config.storage, metrics.clone()).await?;
        if let Some(copy) = CopyState::of(&lake).await? {
            copy.become_a_lake(&lake).await?;
        }
        let key = SubjectKey::open(&lake, &config.subject_key()).await?;
        let suppression = Suppression::open(&lake, &config.suppression_keys()).await?;
        let names = names(&lake, &pipeline);
        let audit = Audit::open(&lake, &config.state_dir, audit_limits(config), names).await?;
        let limits = LandingLimits {
            record_bytes: config.landing.record_bytes,
            ahead: Duration::from_secs(config.landing.ahead_hours.saturating_mul(3600)),
            upload_bytes: config.landing.body_bytes,
            loads_at_once: config.landing.loads_at_once,
            markers: Duration::from_secs(config.landing.marker_seconds),
            keys: Duration::from_secs(config.landing.key_seconds),
        };
        let promotion = Promotion::new(lake.clone(), Arc::clone(&pipeline), &key);
        let kept_out = suppression.clone();
        let landing =
            Landing::new(lake.clone(), Arc::clone(&pipeline), key.clone(), kept_out, limits);
        let landing = Arc::new(landing);
        landing.create_tables().await?;
        promotion.create_tables().await?;
        let system = vec![declared(), runs()];
        let upkeep = maintenance_rules(&config.maintenance);
        let maintenance =
            Maintenance::new(lake.clone(), &pipeline, system.clone(), audit.clone(), upkeep);
        let catalog = Catalog::new(lake.clone(), Arc::clone(&pipeline), system);
        let promotions = Promotions::new(lake.clone(), promotion.clone(), audit.clone(), rules);
        let limits = statement_limits(&config.limits, metrics.clone());
        let deny = Deny::new(lake.clone(), Duration::from_millis(config.consent.staleness_ms));
        let query =
            Query::new(lake.clone(), Arc::clone(&pipeline), catalog.clone(), deny.clone(), limits)?;
        let rules = StatementsRules {
            keep: Duration::from_secs(config.statements.keep_seconds),
            at_once: config.statements.at_once,
            queued: config.statements.queued,
            lease: Duration::from_secs(config.statements.lease_seconds.max(1)),
        };
        let statements = Statements::new(lake.clone(), query.clone(), rules);
        let rules = snapshot_rules(config, &pipeline);
        let snapshots =
            Snapshots::new(lake.clone(), Arc::clone(&pipeline), &key, deny.clone(), rules);
        let saga = Saga {
            lake: lake.clone(),
            pipeline: Arc::clone(&pipeline),
            landing: Arc::clone(&landing),
            deny: deny.clone(),
            promotion: promotion.clone(),
            promotions: promotions.clone(),
            maintenance: maintenance.clone(),
            statements: statements.clone(),
            snapshots: snapshots.clone(),
            suppression: suppression.clone(),
            audit: audit.clone(),
            secrets: Secrets::new(lake.clone(), &key)?,
            holds: Holds::new(lake.clone()),
            certificates: Certificates::new(
                lake.clone(),
                SigningKey::open(&config.certificate_key())?,
            ),
            looks: Looks::new(lake.clone()),
            rules: consent_rules(config),
        };
        let sharing = Sharing::new(
            lake.clone(),
            Arc::clone(&pipeline),
            catalog.clone(),
            deny.clone(),
            &key,
            sharing_rules(config),
        );
        let revocations = Revocations::new(saga, key, audit.clone());
        let (follows, opened) = (promotions.clone(), revocations.clone());
        let loaded = move |asker, result: LoadResult| {
            let (follows, opened) = (follows.clone(), opened.clone());
            let followed = async move {
                let ids = opened.loaded(asker, &result).await;
                if result.accepted > 0 {
                    follows.loaded();
                }
                ids
            };
            followed.boxed()
        };
        let imports = Imports::new(
            lake.clone(),
            Arc::clone(&landing),
            audit.clone(),
            importing,
            Box::new(loaded),
        );
        Ok(Self {
            metrics,
            lake,
            pipeline,
            landing,
            imports,
            promotion,
            promotions,
            maintenance,
            catalog,
            query,
            statements,
            audit,
            deny,
            sharing,
            revocations,
            snapshots,
            suppression,
        })
    }

    /// All metrics as they are now, in the text format of OpenMetrics.
    pub fn metrics_text(&self) -> String {
        self.metrics.usage(self.lake.sessions().usage());
        self.metrics.text()
    }
}

async fn pipeline(config: &Config) -> Result<Pipeline, PipelineError> {
    let files = match &config.pipeline.dir {
        Some(folder) => PipelineFiles::read(folder)?,
        None => PipelineFiles::built_in(),
    };
    Pipeline::load(&files, &config.pipeline.options).await
}

async fn lake(config: &Config, at: &str, metrics: Metrics) -> Result<Lake, AppError> {
    Ok(Lake::open_with(Location::parse(at)?, &session_limits(config), metrics).await?)
}

/// A backup of the configured lake to another place, which no server needs to stop for.
///
/// # Errors
/// Also if there is something else in that place.
pub async fn backup(config: &Config, to: &str) -> Result<Backup, AppError> {
    let pipeline = pipeline(config).await?;
    let from = lake(config, &config.storage, Metrics::new()).await?;
    let to = lake(config, to, Metrics::new()).await?;
    let (audit, runs) = (declared(), runs());
    Ok(Backup::new(from, &pipeline, &[&audit.name, &runs.name], to).await?)
}

/// What the audit keeps of a statement: names of tables, columns and functions.
fn names(lake: &Lake, pipeline: &Pipeline) -> Vec<String> {
    let mut names = Vec::new();
    for table in pipeline.tables().into_iter().chain([declared(), runs()]) {
        names.push(table.name);
        names.push(table.zone.name().to_owned());
        names.extend(table.columns.into_iter().map(|column| column.name));
    }
    let state = lake.sessions().session().state();
    names.extend(state.scalar_functions().keys().cloned());
    names.extend(state.aggregate_functions().keys().cloned());
    names.extend(state.window_functions().keys().cloned());
    names
}

/// Looks whether a configuration can be used, as far as can be known without asking lake or issuer.
///
/// # Errors
/// The first thing that is not as it must be.
pub async fn check(config: &Config) -> Result<(), AppError> {
    // A local folder would be made by it.
    if config.storage.contains("://") && !config.storage.starts_with("file://") {
        Location::parse(&config.storage).map_err(|error| wrong("storage", error))?;
    }
    roles_are_known(&config.limits)?;
    promotion_rules(config, &pipeline(config).await?)?;
    import_rules(config)?;
    if let Some(source) = &config.auth.jwks {
        JwksSource::parse(source)?;
    }
    Ok(())
}

fn wrong(key: &str, error: impl std::fmt::Display) -> ConfigError {
    ConfigError::value(key, error.to_string())
}

fn roles_are_known(limits: &LimitsConfig) -> Result<(), ConfigError> {
    match limits.roles.keys().find(|name| Role::parse(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let known = Role::ALL.map(Role::name).join(", ");
            Err(wrong(&format!("limits.roles.{name}"), format!("is no role; roles are {known}")))
        }
    }
}

fn promotion_rules(config: &Config, pipeline: &Pipeline) -> Result<PromotionRules, AppError> {
    let own = &config.promotion;
    let schedule = own.schedule.as_ref().or(pipeline.rhythm.schedule.as_ref());
    let schedule = schedule.filter(|text| !text.trim().is_empty());
    let after_load = match own.after_load_seconds {
        Some(seconds) => u64::try_from(seconds).ok(),
        None => pipeline.rhythm.after_load_seconds,
    };
    let not_a_time = |error| wrong("promotion.schedule", error);
    Ok(PromotionRules {
        work: WorkRules {
            queued: own.queued,
            lease: Duration::from_secs(own.lease_seconds.max(1)),
            keep: Duration::from_secs(own.keep_seconds),
        },
        schedule: schedule.map(|text| Schedule::parse(text)).transpose().map_err(not_a_time)?,
        after_load: after_load.map(Duration::from_secs),
    })
}

fn import_rules(config: &Config) -> Result<ImportRules, AppError> {
    Ok(ImportRules {
        from: Allowed::new(&config.landing.import_from)
            .map_err(|error| wrong("landing.import_from", error))?,
        work: WorkRules {
            queued: config.landing.imports_queued,
            lease: Duration::from_secs(config.landing.import_lease_seconds.max(1)),
            keep: Duration::from_secs(config.landing.key_seconds),
        },
    })
}

fn sharing_rules(config: &Config) -> SharingRules {
    SharingRules {
        holds: Duration::from_secs(config.sharing.url_seconds),
        url: config.sharing.url.clone(),
        redirect: Duration::from_secs(config.sharing.redirect_seconds),
        scheme: if config.http.tls.is_some() { "https" } else { "http" },
    }
}

fn snapshot_rules(config: &Config, pipeline: &Pipeline) -> SnapshotsRules {
    let own = &config.snapshot;
    SnapshotsRules {
        after_promotion: own.after_promotion.unwrap_or(pipeline.snapshot.after_promotion),
        redirect: Duration::from_secs(own.redirect_seconds),
    }
}

fn consent_rules(config: &Config) -> ConsentRules {
    let own = &config.consent;
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
    let roles = Role::ALL.iter().map(|role| config.limits.roles.get(role.name()));
    let roles = roles.map(|limits| limits.cloned().unwrap_or_default());
    let longest = roles.map(|limits| limits.seconds.max(limits.async_seconds)).max();
    ConsentRules {
        work: WorkRules {
            queued: own.queued,
            lease: Duration::from_secs(own.lease_seconds.max(1)),
            keep: hours(own.keep_hours),
        },
        within: hours(own.deadline_hours),
        grace: Duration::from_secs(own.grace_seconds.or(longest).unwrap_or_default()),
        unfinished: hours(config.maintenance.file_retention_hours),
    }
}

fn maintenance_rules(config: &MaintenanceConfig) -> MaintenanceRules {
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
    let every = Duration::from_secs(config.every_seconds);
    MaintenanceRules {
        every: (!every.is_zero()).then_some(every),
        lease: Duration::from_secs(config.lease_seconds.max(1)),
        checkpoint_commits: config.checkpoint_commits.max(1),
        compaction: CompactionRules {
            small: config.small_file_bytes,
            pieces: config.min_files,
            most: config.rewrite_bytes,
        },
        log_retention: hours(config.log_retention_hours),
        file_retention: hours(config.file_retention_hours),
        files_every: hours(config.files_every_hours),
        keep: hours(config.keep_hours),
    }
}

fn audit_limits(config: &Config) -> AuditLimits {
    AuditLimits {
        sync: config.audit.fsync,
        flush: Duration::from_millis(config.audit.flush_ms),
        batch_rows: config.audit.batch_rows,
        journal_bytes: config.audit.journal_bytes,
        denied_window: Duration::from_secs(config.audit.denied_seconds),
    }
}

fn session_limits(config: &Config) -> SessionLimits {
    SessionLimits {
        memory: config.memory.pool_bytes,
        spill_dir: config.state_dir.join("spill"),
        spill: config.memory.spill_bytes,
        partitions: std::thread::available_parallelism().map_or(1, usize::from),
        staleness: Duration::from_millis(config.lake.staleness_ms),
    }
}

fn statement_limits(config: &LimitsConfig, metrics: Metrics) -> Limits {
    let queue = QueueLimits {
        at_once: config.statements_at_once,
        queued: config.queued,
        wait: Duration::from_secs(config.queue_seconds),
    };
    let of = |role: Role| {
        let own = config.roles.get(role.name()).cloned().unwrap_or_default();
        StatementLimits {
            text: Bounds { bytes: own.statement_bytes, nesting: own.nesting, chain: own.chain },
            time: Duration::from_secs(own.seconds),
            async_time: Duration::from_secs(own.async_seconds),
            rows: own.rows,
            bytes: own.bytes,
            memory: own.memory_bytes,
            at_once: own.statements_at_once,
        }
    };
    Limits::new(queue, of, metrics)
}

/// What the server asks of a token.
pub fn token_rules(config: &Config) -> TokenRules {
    TokenRules {
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        leeway: Duration::from_secs(config.auth.leeway_seconds),
    }
}

/// What checks tokens: the keys of the configured JWKS, else the local key.
///
/// # Errors
/// If there are no keys.
pub async fn verifier(config: &Config) -> Result<Verifier, AppError> {
    let keys = match &config.auth.jwks {
        None => Keys::local(&LocalKey::open(&config.auth_key())?),
        Some(source) => {
            let freshness = Freshness {
                refresh: Duration::from_secs(config.auth.jwks_refresh_seconds),
                pause: Duration::from_secs(config.auth.jwks_pause_seconds),
                stale: Duration::from_secs(config.auth.jwks_stale_seconds),
            };
            Keys::jwks(JwksSource::parse(source)?, freshness).await?
        }
    };
    Ok(Verifier::new(keys, token_rules(config)))
}
