//! Leases: who of several servers does a piece of work, as long as they live.
//!
//! A lease is the newest of the objects `system/leases/<name>/<epoch>.json`. Creating the next one
//! takes it, which only one server can (`If-None-Match: *`); its holder writes it anew to renew it.
//! Leases save work and make nothing correct: a holder that was paused and comes back late may still
//! believe that it holds one, and commits decide between the two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::LedgerError;
use crate::lake::{Deadline, Lake};

/// The folder of leases.
pub const LEASES: &str = "system/leases";
/// Epochs that stay, so that whoever looks at an older listing still finds its number taken.
const STAY: u64 = 2;

/// The leases of a lake, as one server takes them.
#[derive(Clone, Debug)]
pub struct Leases {
    lake: Lake,
    holder: Arc<str>,
    time: Duration,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
}

/// A lease that is longer than leases are, by this server's clock: its holder's is ahead. It has run out
/// when there was no further sign of life for its time since this server saw it.
#[derive(Debug)]
struct Seen {
    epoch: u64,
    expires: i64,
    since: Instant,
}

/// What an epoch says.
#[derive(Debug, Serialize, Deserialize)]
struct Epoch {
    /// The server that holds it, by an id that it makes at its start.
    holder: String,
    /// Epoch milliseconds by the holder's clock after which anybody may take it; 0 when it is released.
    /// Of a clock that is behind that is early.
    expires: i64,
    /// How long it lasts without a sign of life, in milliseconds.
    #[serde(default)]
    millis: u64,
}

/// A lease that this server holds. Dropped without [`Lease::release`] it runs out.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    name: String,
    epoch: u64,
    lost: CancellationToken,
    /// When it runs out.
    until: Deadline,
    end: CancellationToken,
    keeper: Option<JoinHandle<()>>,
}

impl Leases {
    /// Leases that run out after `time` without a sign of life.
    pub fn new(lake: Lake, time: Duration) -> Self {
        let holder = Uuid::new_v4().simple().to_string().into();
        Self { lake, holder, time: time.max(Duration::from_millis(100)), seen: Arc::default() }
    }

    /// How long a lease lasts without a sign of life.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Takes a lease if nobody holds it, and keeps it alive.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn take(&self, name: &str) -> Result<Option<Lease>, LedgerError> {
        let epochs = self.epochs(name).await?;
        let newest = epochs.last().copied().unwrap_or_default();
        if newest > 0 && self.is_held(name, newest).await? {
            return Ok(None);
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        let epoch = newest + 1;
        let since = Instant::now();
        let taken = self.lake.create_object(&path(name, epoch), self.held()).await?;
        // Its number may have been taken and removed since the listing.
        if !taken || self.epochs(name).await?.last() != Some(&epoch) {
            return Ok(None);
        }
        for old in epochs.into_iter().filter(|old| old + STAY <= epoch) {
            self.lake.remove_object(&path(name, old)).await?;
        }
        let (lost, end) = (CancellationToken::new(), CancellationToken::new());
        let until = Deadline::new(since + self.time);
        let name = name.to_owned();
        let mut lease = Lease { leases: self.clone(), name, epoch, lost, until, end, keeper: None };
        lease.keeper = Some(tokio::spawn(lease.keep(since)));
        Ok(Some(lease))
    }

    async fn is_held(&self, name: &str, epoch: u64) -> Result<bool, LedgerError> {
        let path = path(name, epoch);
        let Some(bytes) = self.lake.read_object(&path).await? else { return Ok(false) };
        // What cannot be read was not written by a holder that lives.
        let Ok(found) = serde_json::from_slice::<Epoch>(&bytes) else { return Ok(false) };
        Ok(self.still_held(name, epoch, &found, Utc::now().timestamp_millis(), Instant::now()))
    }

    /// Whether a lease is held, when this server's clocks show this.
    fn still_held(&self, name: &str, epoch: u64, found: &Epoch, wall: i64, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let left = u64::try_from(found.expires.saturating_sub(wall)).unwrap_or_default();
        let time = self.time.max(Duration::from_millis(found.millis));
        if Duration::from_millis(left) <= time {
            seen.remove(name);
            return left > 0;
        }
        let expires = found.expires;
        match seen.get(name) {
            Some(seen) if (seen.epoch, seen.expires) == (epoch, expires) => {
                now.duration_since(seen.since) < time
            }
            _ => {
                seen.insert(name.to_owned(), Seen { epoch, expires, since: now });
                true
            }
        }
    }

    /// The epochs of a lease, oldest first.
    async fn epochs(&self, name: &str) -> Result<Vec<u64>, LedgerError> {
        let names = self.lake.list_objects(&format!("{LEASES}/{name}")).await?;
        let epoch = |name: &String| name.strip_suffix(".json")?.parse::<u64>().ok();
        let mut epochs: Vec<u64> = names.iter().filter_map(epoch).collect();
        epochs.sort_unstable();
        Ok(epochs)
    }

    /// That it is held for its time from now on.
    fn held(&self) -> Vec<u8> {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        self.text(Utc::now().timestamp_millis().saturating_add_unsigned(millis), millis)
    }

    fn text(&self, expires: i64, millis: u64) -> Vec<u8> {
        let epoch = Epoch { holder: self.holder.to_string(), expires, millis };
        // A struct of a text and a number is always JSON.
        serde_json::to_vec(&epoch).unwrap_or_default()
    }
}

impl Lease {
    /// Its number: the higher one of two holders is the one that counts.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Cancelled when it is not held any more.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// When it runs out, if no further sign of life reaches the lake: also for who was paused, and has
    /// not been told yet that it is lost.
    pub fn until(&self) -> Deadline {
        self.until.clone()
    }

    /// Asks the lake whether it is still held.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn is_held(&self) -> Result<bool, LedgerError> {
        let newest = self.leases.epochs(&self.name).await?.last().copied();
        if newest != Some(self.epoch) {
            self.lost.cancel();
        }
        Ok(!self.lost.is_cancelled())
    }

    /// Lets others have it at once.
    ///
    /// # Errors
    /// If the lake cannot be written; it runs out then.
    pub async fn release(mut self) -> Result<(), LedgerError> {
        self.end.cancel();
        // A sign of life that is under way would come after the word that it is free.
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.await;
        }
        if self.is_held().await? {
            let path = path(&self.name, self.epoch);
            self.leases.lake.put_object(&path, self.leases.text(0, 0)).await?;
        }
        Ok(())
    }

    /// Renews it until it ends or is lost.
    fn keep(&self, mut since: Instant) -> impl Future<Output = ()> + use<> {
        let (leases, lost, end) = (self.leases.clone(), self.lost.clone(), self.end.clone());
        let (name, own, until) = (self.name.clone(), self.epoch, self.until());
        async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(leases.time / 3) => {}
                    () = end.cancelled() => return,
                    () = lost.cancelled() => return,
                }
                let asked = Instant::now();
                let renewed = async {
                    if leases.epochs(&name).await?.last() != Some(&own) {
                        return Ok(false);
                    }
                    leases.lake.put_object(&path(&name, own), leases.held()).await?;
                    Ok::<_, LedgerError>(true)
                };
                // A store that hangs must not keep a holder in its belief.
                let left = leases.time.saturating_sub(since.elapsed());
                match tokio::time::timeout(left, renewed).await {
                    Ok(Ok(true)) => {
                        since = asked;
                        until.move_to(since + leases.time);
                    }
                    Ok(Ok(false)) => {
                        tracing::warn!(lease = name, epoch = own, "another server has the lease");
                        return lost.cancel();
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(lease = name, %error, "the lease was not renewed");
                    }
                    Err(_) => {}
                }
                if since.elapsed() >= leases.time {
                    tracing::warn!(lease = name, epoch = own, "the lease ran out");
                    return lost.cancel();
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

fn path(name: &str, epoch: u64) -> String {
    format!("{LEASES}/{name}/{epoch:010}.json")
}
