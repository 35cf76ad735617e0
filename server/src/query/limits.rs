//! What statements may take, by role, and whose turn it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bounds::Bounds;
use super::error::QueryError;
use crate::auth::{Principal, Role};
use crate::metrics::{GoingOn, Metrics};

/// What one statement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLimits {
    /// Bounds of its text.
    pub text: Bounds,
    /// Time until its answer has been read.
    pub time: Duration,
    /// Time that it may take by itself.
    pub async_time: Duration,
    /// Rows of its result.
    pub rows: u64,
    /// Bytes of its result.
    pub bytes: u64,
    /// Bytes of memory that its plan may hold.
    pub memory: usize,
    /// Statements of the role that run at once.
    pub at_once: usize,
}

impl StatementLimits {
    /// The more generous one of each.
    fn or(self, other: Self) -> Self {
        Self {
            text: Bounds {
                bytes: self.text.bytes.max(other.text.bytes),
                nesting: self.text.nesting.max(other.text.nesting),
                chain: self.text.chain.max(other.text.chain),
            },
            time: self.time.max(other.time),
            async_time: self.async_time.max(other.async_time),
            rows: self.rows.max(other.rows),
            bytes: self.bytes.max(other.bytes),
            memory: self.memory.max(other.memory),
            at_once: self.at_once.max(other.at_once),
        }
    }
}

/// Who may run how much at a time.
#[derive(Clone, Debug)]
pub struct QueueLimits {
    /// Statements that run at once.
    pub at_once: usize,
    /// Statements that wait at once.
    pub queued: usize,
    /// How long one waits.
    pub wait: Duration,
}

/// The limits of all roles, and the statements that run under them.
#[derive(Debug)]
pub struct Limits {
    queue: QueueLimits,
    roles: BTreeMap<Role, (StatementLimits, Arc<Semaphore>)>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    running: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// The right to run a statement, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _role: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    running: Arc<AtomicUsize>,
    _counted: GoingOn,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes back that somebody waits, however the waiting ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// Limits for each role.
    pub fn new(queue: QueueLimits, of: impl Fn(Role) -> StatementLimits, metrics: Metrics) -> Self {
        let roles = Role::ALL.into_iter().map(|role| {
            let limits = of(role);
            (role, (limits, Arc::new(Semaphore::new(limits.at_once))))
        });
        Self {
            roles: roles.collect(),
            turns: Arc::new(Semaphore::new(queue.at_once)),
            queue,
            waiting: AtomicUsize::new(0),
            running: Arc::default(),
            metrics,
        }
    }

    /// What a statement of somebody may take: of several roles the most generous of each limit.
    pub fn of(&self, principal: &Principal) -> StatementLimits {
        let own = principal.roles.iter().filter_map(|role| self.roles.get(role));
        let least = StatementLimits {
            text: Bounds { bytes: 0, nesting: 0, chain: 0 },
            time: Duration::ZERO,
            async_time: Duration::ZERO,
            rows: 0,
            bytes: 0,
            memory: 0,
            at_once: 0,
        };
        own.fold(least, |limits, (more, _)| limits.or(*more))
    }

    /// How statements wait.
    pub fn queue(&self) -> &QueueLimits {
        &self.queue
    }

    /// Statements that run and that wait now.
    pub fn now(&self) -> (usize, usize) {
        (self.running.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed))
    }

    fn taken(&self, role: OwnedSemaphorePermit, all: OwnedSemaphorePermit) -> Turn {
        self.running.fetch_add(1, Ordering::Relaxed);
        let (running, counted) = (Arc::clone(&self.running), self.metrics.statement_runs());
        Turn { _role: role, _all: all, running, _counted: counted }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`QueryError::QueueFull`] and [`QueryError::NoTurn`].
    pub async fn turn(&self, principal: &Principal) -> Result<Turn, QueryError> {
        let own = principal.roles.iter().filter_map(|role| self.roles.get(role));
        let (_, role) =
            own.max_by_key(|(limits, _)| limits.at_once).ok_or(QueryError::NoTurn(0))?;
        let take = async || -> Option<Turn> {
            // The role's turn first: who waits for it holds back nobody of another role.
            let role = Arc::clone(role).acquire_owned().await.ok()?;
            let all = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            Some(self.taken(role, all))
        };
        let at_once = Arc::clone(role).try_acquire_owned().ok();
        if let Some(role) = at_once
            && let Ok(all) = Arc::clone(&self.turns).try_acquire_owned()
        {
            return Ok(self.taken(role, all));
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let _counted = self.metrics.statement_waits();
        if waiting >= self.queue.queued {
            return Err(QueryError::QueueFull { waiting });
        }
        match tokio::time::timeout(self.queue.wait, take()).await {
            Ok(Some(turn)) => Ok(turn),
            _ => Err(QueryError::NoTurn(self.queue.wait.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(at_once: usize, queued: usize) -> Limits {
        let text = Bounds { bytes: 1, nesting: 1, chain: 1 };
        let time = Duration::from_secs(1);
        let one = StatementLimits {
            text,
            time,
            async_time: time,
            rows: 1,
            bytes: 1,
            memory: 1,
            at_once: 2,
        };
        let queue = QueueLimits { at_once, queued, wait: Duration::from_millis(50) };
        Limits::new(
            queue,
            |role| match role {
                Role::Admin => StatementLimits { rows: 9, ..one },
                _ => StatementLimits { bytes: 9, ..one },
            },
            Metrics::new(),
        )
    }

    fn somebody(roles: &[Role]) -> Principal {
        Principal { subject: "s".into(), roles: roles.to_vec(), until: None }
    }

    #[tokio::test]
    async fn turns_are_counted_and_given_back() {
        let limits = limits(3, 1);
        let analyst = somebody(&[Role::Analyst]);
        let first = limits.turn(&analyst).await.unwrap();
        let _second = limits.turn(&analyst).await.unwrap();
        assert!(matches!(limits.turn(&analyst).await, Err(QueryError::NoTurn(_))));
        // Another role still has its turn, until all turns are taken.
        let admin = somebody(&[Role::Admin]);
        let _third = limits.turn(&admin).await.unwrap();
        assert_eq!(limits.now(), (3, 0));
        let (waits, full) = tokio::join!(limits.turn(&admin), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            limits.turn(&admin).await
        });
        assert!(matches!(waits, Err(QueryError::NoTurn(_))));
        assert!(matches!(full, Err(QueryError::QueueFull { waiting: 1 })));
        drop(first);
        assert!(limits.turn(&analyst).await.is_ok());
        assert_eq!(limits.now(), (2, 0));
    }

    #[test]
    fn several_roles_have_the_most_generous_limit_of_each_kind() {
        let limits = limits(1, 1).of(&somebody(&[Role::Analyst, Role::Admin]));
        assert_eq!((limits.rows, limits.bytes), (9, 9));
    }
}
