//! The deny list as a server knows it, and as it is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;
use uuid::Uuid;

use super::entry::Denied;
use super::error::DenyError;
use super::lent::Lent;
use super::list::DenyList;
use super::log::{Record, What, all};
use crate::lake::Lake;
use crate::ledger::error::LedgerError;
use crate::ledger::numbered::Numbered;
use crate::metrics::Metrics;

/// The age of a list beyond which no server gives rows under it. It is the same for all servers of
/// all lakes: an acknowledgement waits for it.
pub const LONGEST: Duration = Duration::from_millis(500);
/// What may lie between a look at the list and the bytes that leave the server.
const MARGIN: Duration = Duration::from_millis(250);
/// How long a server may take to read the log when it starts.
const ALL: Duration = Duration::from_secs(60);
/// How long whoever wants to read waits for a list that is new enough, and how long for one object.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a change is tried again that others got in the way of.
const ATTEMPTS: usize = 100;

/// The deny list of a lake.
#[derive(Clone, Debug)]
pub struct Deny(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub lake: Lake,
    log: Numbered<Record>,
    metrics: Metrics,
    staleness: Duration,
    known: Mutex<Option<Known>>,
    /// One refresh at a time.
    refresh: Arc<tokio::sync::Mutex<()>>,
    /// Tells when one has ended, and why it failed.
    rounds: watch::Sender<Result<(), String>>,
    /// One change at a time.
    change: tokio::sync::Mutex<()>,
    /// URLs that this server gave out.
    pub lent: tokio::sync::Mutex<Lent>,
    /// Tells the number of the last object.
    news: watch::Sender<u64>,
}

/// A list, and when it began to be read; `None` if there may be more of it.
#[derive(Clone, Debug)]
struct Known {
    list: Arc<DenyList>,
    asked: Option<Instant>,
}

/// From now on no server returns a row of those that are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Epoch milliseconds by this server's clock.
    pub at: i64,
}

impl Deny {
    /// The deny list of a lake, looked at anew when it is as old as `staleness`, or [`LONGEST`].
    pub fn new(lake: Lake, staleness: Duration) -> Self {
        let metrics = lake.metrics().clone();
        Self(Arc::new(Inner {
            log: Numbered::new(&lake),
            metrics,
            staleness: staleness.clamp(Duration::from_millis(10), LONGEST),
            known: Mutex::default(),
            refresh: Arc::default(),
            rounds: watch::Sender::new(Ok(())),
            change: tokio::sync::Mutex::default(),
            lent: tokio::sync::Mutex::default(),
            lake,
            news: watch::Sender::new(0),
        }))
    }

    /// A list that began to be read a short time ago.
    ///
    /// # Errors
    /// [`DenyError::Unknown`] if the store does not give it in time.
    pub async fn current(&self) -> Result<Arc<DenyList>, DenyError> {
        let inner = &self.0;
        if let Some((list, age)) = inner.fresh() {
            // Before it is too old, so that nobody has to wait.
            if age > self.pulse() {
                self.refresh_aside();
            }
            return Ok(list);
        }
        let began = Instant::now();
        loop {
            let mut rounds = inner.rounds.subscribe();
            self.refresh_aside();
            let left = PATIENCE.saturating_sub(began.elapsed());
            let late = |_| DenyError::Unknown(LedgerError::Late.to_string());
            let _ = tokio::time::timeout(left, rounds.changed()).await.map_err(late)?;
            // An answer that took long is old already.
            if let Some((list, _)) = inner.fresh() {
                return Ok(list);
            }
            rounds.borrow().clone().map_err(DenyError::Unknown)?;
        }
    }

    /// Denies the rows of some requests' subjects, and waits until no server returns any of them. A
    /// request that has an entry keeps the one that it has.
    ///
    /// # Errors
    /// If the lake cannot be read or written. The entries may be there all the same; asked again, it
    /// finds them.
    pub async fn add(&self, denied: &[Denied]) -> Result<Acknowledged, LedgerError> {
        self.append(|list| {
            let new = denied.iter().filter(|denied| !list.has(&denied.request));
            let new: Vec<Denied> = new.cloned().collect();
            (!new.is_empty()).then_some(What::Deny(new))
        })
        .await?;
        tokio::time::sleep(LONGEST + MARGIN).await;
        self.returned().await?;
        Ok(Acknowledged { at: Utc::now().timestamp_millis() })
    }

    /// Says that from some versions of tables on the rows of requests are gone.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn gone(
        &self,
        requests: &BTreeSet<String>,
        versions: &BTreeMap<String, u64>,
    ) -> Result<(), LedgerError> {
        self.append(|list| {
            let news = |request: &&String| {
                let known = list.gone(request);
                let new = |(table, version): (&String, &u64)| {
                    known.get(table).is_none_or(|gone| gone < version)
                };
                list.has(request) && versions.iter().any(new)
            };
            let requests: BTreeSet<String> = requests.iter().filter(news).cloned().collect();
            let gone = What::Gone { requests, versions: versions.clone() };
            (!matches!(&gone, What::Gone { requests, .. } if requests.is_empty())).then_some(gone)
        })
        .await
    }

    /// Lifts entries, once their rows are in no version of any table any more. Nothing of their
    /// subjects is left in the log then.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn lift(&self, requests: &BTreeSet<String>) -> Result<(), LedgerError> {
        let list = self.0.newest().await?;
        let makers: BTreeSet<u64> =
            requests.iter().filter_map(|request| list.maker(request)).collect();
        // Taken out first: whoever reads the log anew does not need them any more, and a lift that is
        // cut short behind it would leave them there.
        for seq in makers {
            let stay = list.made_by(seq).map(|entry| &entry.denied);
            let stay = stay.filter(|denied| !requests.contains(&denied.request)).cloned();
            let what = What::Deny(stay.collect());
            let record = Record { writer: writer(), base: list.base().min(seq), what };
            self.0.log.replace(seq, &record).await?;
        }
        self.append(|_| (!requests.is_empty()).then(|| What::Lift(requests.clone()))).await
    }

    /// How often a list is looked at while it is in use.
    pub(super) fn pulse(&self) -> Duration {
        self.0.staleness / 2
    }

    /// Tells when the list has changed.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// Begins a refresh, unless one is under way. It goes on when nobody waits for it any more.
    fn refresh_aside(&self) {
        let inner = Arc::clone(&self.0);
        if let Ok(turn) = Arc::clone(&inner.refresh).try_lock_owned() {
            tokio::spawn(async move {
                let _turn = turn;
                // Who waits hears of an error by the round.
                let _ = inner.refresh().await;
            });
        }
    }

    /// Adds an object to the log that says what is to be said to the list as it is then.
    async fn append(&self, say: impl Fn(&DenyList) -> Option<What>) -> Result<(), LedgerError> {
        let inner = &self.0;
        let _turn = inner.change.lock().await;
        for _ in 0..ATTEMPTS {
            let list = inner.newest().await?;
            let Some(what) = say(&list) else { return Ok(()) };
            let seq = list.seq() + 1;
            let record = Record { writer: writer(), base: list.base().min(seq), what };
            if inner.log.create(seq, &record).await? {
                inner.newest().await?;
                return Ok(());
            }
        }
        Err(LedgerError::Contended)
    }
}

impl Inner {
    /// The list and its age, if it is new enough.
    fn fresh(&self) -> Option<(Arc<DenyList>, Duration)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { list, asked } = known.as_ref()?;
        let age = asked.as_ref()?.elapsed();
        (age < self.staleness).then(|| (Arc::clone(list), age))
    }

    /// The list as it is now.
    async fn newest(&self) -> Result<Arc<DenyList>, LedgerError> {
        let _turn = self.refresh.lock().await;
        self.refresh().await
    }

    /// Reads what is new in the log. To be called in turn.
    async fn refresh(&self) -> Result<Arc<DenyList>, LedgerError> {
        let asked = Instant::now();
        let read = self.read().await;
        self.metrics.deny_read(read.is_ok());
        match &read {
            Ok(list) => {
                self.metrics.deny_entries(list.len());
                self.know(Known { list: Arc::clone(list), asked: Some(asked) });
                let seq = list.seq();
                self.news.send_if_modified(|last| std::mem::replace(last, seq) != seq);
                let _ = self.rounds.send_replace(Ok(()));
            }
            Err(error) => {
                tracing::warn!(%error, "the deny list was not read");
                let _ = self.rounds.send_replace(Err(error.to_string()));
            }
        }
        read
    }

    async fn read(&self) -> Result<Arc<DenyList>, LedgerError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut list, asked) = match known {
            Some(known) => (known.list, known.asked),
            None => (Arc::new(in_time(ALL, all(&self.log)).await?), None),
        };
        while let Some(record) = in_time(PATIENCE, self.log.read(list.seq() + 1)).await? {
            list = Arc::new(list.with(record));
            // Not read again if the next one cannot be read; as old as before, since there may be more.
            self.know(Known { list: Arc::clone(&list), asked });
        }
        Ok(list)
    }

    fn know(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

async fn in_time<T>(
    time: Duration,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(LedgerError::Late))
}

fn writer() -> String {
    Uuid::new_v4().simple().to_string()
}
