//! A door between a server and the store, which shuts at a request that a test chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Fate, Proxy, SeaweedFs};

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens between the first server and the store.
#[derive(Default)]
pub struct Gate {
    /// It is looked for the request.
    pub armed: AtomicBool,
    /// Nothing passes.
    pub shut: AtomicBool,
    /// It was shut and is open again.
    pub again: AtomicBool,
    /// Commits since then.
    pub late: AtomicUsize,
}

impl Gate {
    /// Shuts at the first request for which `at` holds, and counts later those for which `commits` does.
    pub fn proxy(
        self: &Arc<Self>,
        s3: &SeaweedFs,
        at: impl Fn(&str) -> bool + Send + Sync + 'static,
        commits: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Proxy {
        let gate = Arc::clone(self);
        Proxy::start(&s3.endpoint(), move |line| {
            if gate.again.load(Ordering::SeqCst) && commits(line) {
                eprintln!("late: {line}");
                gate.late.fetch_add(1, Ordering::SeqCst);
            }
            if at(line) && gate.armed.swap(false, Ordering::SeqCst) {
                gate.shut.store(true, Ordering::SeqCst);
            }
            let began = Instant::now();
            while gate.shut.load(Ordering::SeqCst) && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            Fate::Passed
        })
    }

    pub async fn is_shut(&self) {
        let began = Instant::now();
        while !self.shut.load(Ordering::SeqCst) {
            assert!(began.elapsed() < PATIENCE, "the request never comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn open(&self) {
        self.again.store(true, Ordering::SeqCst);
        self.shut.store(false, Ordering::SeqCst);
    }
}
