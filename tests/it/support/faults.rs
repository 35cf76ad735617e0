//! Harm by chance, which a seed repeats as far as the order of requests does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Fate;

/// Numbers that look random and follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of so many, from 0.
    pub fn below(&mut self, many: usize) -> usize {
        (self.roll() % many as u64) as usize
    }
}

/// Of a thousand requests so many are harmed.
const RATE: u64 = 15;
/// Of a thousand commits.
const RATE_OF_COMMITS: u64 = 300;

/// What a reading request meets. A listing that is cut is an error to whoever asked; the rest is
/// mostly mended by the client of the store.
const READS: [Fate; 8] = [
    Fate::Refused(503),
    Fate::Refused(503),
    Fate::Dropped,
    Fate::Reset,
    Fate::AnswerFailed,
    Fate::AnswerFailed,
    Fate::AnswerReset,
    Fate::AnswerCut,
];
/// What a writing request meets.
/// Timeouts cost time and are rarer.
const WRITES: [Fate; 14] = [
    Fate::Refused(503),
    Fate::Refused(409),
    Fate::Dropped,
    Fate::Reset,
    Fate::AnswerFailed,
    Fate::AnswerFailed,
    Fate::AnswerFailed,
    Fate::AnswerLost,
    Fate::AnswerLost,
    Fate::AnswerLost,
    Fate::AnswerReset,
    Fate::AnswerReset,
    Fate::AnswerHeld,
    Fate::Held,
];

/// The faults of a test: a rule for a proxy, and what it did.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    requests: AtomicU64,
    quiet: AtomicBool,
    done: Mutex<BTreeMap<(Fate, String), u64>>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        let (requests, done) = (AtomicU64::new(0), Mutex::default());
        Self { seed, requests, quiet: AtomicBool::new(true), done }
    }

    /// Does harm, or not.
    pub fn quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::SeqCst);
    }

    /// How many faults there were.
    pub fn count(&self) -> u64 {
        self.done.lock().unwrap().values().sum()
    }

    /// How many of each kind.
    pub fn report(&self) -> String {
        let done = self.done.lock().unwrap();
        done.iter().map(|((fate, on), times)| format!("  {times:4} {fate:?} of {on}\n")).collect()
    }

    /// What becomes of a request.
    pub fn fate(&self, line: &str) -> Fate {
        // The store is proved at the start, impatiently and on purpose.
        if self.quiet.load(Ordering::SeqCst) || line.contains("/system/probe-") {
            return Fate::Passed;
        }
        let request = self.requests.fetch_add(1, Ordering::SeqCst);
        let mut dice = Dice::new(self.seed ^ request.wrapping_mul(0xd134_2543_de82_ef95));
        let method = line.split(' ').next().unwrap_or_default();
        let reads = method == "GET" || method == "HEAD";
        let commit = method == "PUT" && line.contains("/_delta_log/");
        let rate = if commit { RATE_OF_COMMITS } else { RATE };
        if dice.roll() % 1000 >= rate {
            return Fate::Passed;
        }
        let fates: &[Fate] = if reads { &READS } else { &WRITES };
        let fate = fates[dice.below(fates.len())];
        let on = if commit { "a commit" } else { method };
        *self.done.lock().unwrap().entry((fate, on.to_owned())).or_default() += 1;
        fate
    }
}
