//! A lake: one object store, its tables, and the sessions that read them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::{ObjectStoreRef, store_for};
use tokio::sync::OnceCell;

use super::bucket::Bucket;
use super::cache::TableCache;
use super::counted::Counted;
use super::error::{LakeError, StoreFault};
use super::files;
use super::location::Location;
use super::probe;
use super::session::{SessionLimits, Sessions};
use crate::metrics::Metrics;

/// The object that makes a folder a lake; it is never changed.
const LAKE_FILE: &str = "system/lake.json";

/// An open lake. All its tables share one client of the store.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(super) location: Location,
    /// The store from the bucket's or the file system's root.
    pub(super) store: ObjectStoreRef,
    /// The lake's root below that.
    pub(super) root: Path,
    pub(super) sessions: Sessions,
    pub(super) cache: Arc<TableCache>,
    /// Asked directly once that is needed.
    pub(super) bucket: Arc<OnceCell<Bucket>>,
    pub(super) metrics: Metrics,
}

impl Lake {
    /// Opens a lake and proves that the store honours conditional writes. S3 takes endpoint, region
    /// and keys from the standard `AWS_*` variables.
    ///
    /// # Errors
    /// [`LakeError::Store`] says what the store lacks.
    pub async fn open(location: Location, limits: &SessionLimits) -> Result<Self, LakeError> {
        Self::open_with(location, limits, Metrics::new()).await
    }

    /// The same, counted in these metrics.
    ///
    /// # Errors
    /// See [`Lake::open`].
    pub async fn open_with(
        location: Location,
        limits: &SessionLimits,
        metrics: Metrics,
    ) -> Result<Self, LakeError> {
        let root_name = location.to_string();
        let unusable = |fault| LakeError::Store { root: root_name.clone(), fault };
        // The store of the bucket or file system as a whole: delta-rs adds each table's path.
        let mut whole = location.url().clone();
        whole.set_path("/");
        let client = |options| {
            store_for(&whole, options)
                .map_err(|error| unusable(StoreFault::NoAnswer(error.to_string())))
        };
        let store = client(store_options())?;
        let root = Path::from_url_path(location.url().path())
            .map_err(|error| unusable(StoreFault::NoAnswer(error.to_string())))?;
        // A store that is down should be said at once, and not after minutes of repeats.
        let mut impatient = store_options();
        impatient.insert("max_retries".to_owned(), "1".to_owned());
        probe::prove(&client(impatient)?, &root).await.map_err(unusable)?;
        let is_local = location.local().is_some();
        let store: ObjectStoreRef = Arc::new(Counted::new(store, metrics.clone(), is_local));
        let sessions = Sessions::new(limits).map_err(LakeError::plan("-"))?;
        sessions.register_store(files::STORE, &store);
        let cache = Arc::new(TableCache::new(limits.staleness));
        let bucket = Arc::default();
        let lake = Self { location, store, root, sessions, cache, bucket, metrics };
        let form = serde_json::json!({ "format": "stedi lake 1" });
        lake.create_object(LAKE_FILE, form.to_string().into_bytes()).await?;
        Ok(lake)
    }

    /// Asks the store for something small.
    ///
    /// # Errors
    /// If the store does not answer, or the lake's root is gone.
    pub async fn answers(&self) -> Result<(), LakeError> {
        match self.read_object(LAKE_FILE).await? {
            Some(_) => Ok(()),
            None => Err(LakeError::Store {
                root: self.location.to_string(),
                fault: StoreFault::NotReadBack,
            }),
        }
    }

    /// What counts what is done with it.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How old what is known of a table may be when it is read.
    pub fn staleness(&self) -> Duration {
        self.cache.staleness
    }

    /// Where the lake is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Sessions with the lake's limits.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}

/// What the `AWS_*` variables leave open. An S3-compatible store behind `AWS_ENDPOINT_URL` seldom
/// cares for a region, but requests cannot be signed without one.
pub(super) fn store_options() -> HashMap<String, String> {
    let set = |name: &str| std::env::var_os(name).is_some();
    let mut options = HashMap::new();
    if set("AWS_ENDPOINT_URL") && !set("AWS_REGION") && !set("AWS_DEFAULT_REGION") {
        options.insert("aws_region".to_owned(), "us-east-1".to_owned());
    }
    options
}
