//! When a call that failed is made again: later and later, by chance, and not for ever.

use std::time::{Duration, Instant};

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::error::ClientError;

/// How often, and for how long, a call is made again that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Calls at most, the first one included.
    pub tries: u32,
    /// The longest pause before the second call; each further one may be twice as long.
    pub first: Duration,
    /// No pause is longer, but where the server asks for it.
    pub longest: Duration,
    /// No call is begun later than this after the first.
    pub total: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            tries: 6,
            first: Duration::from_millis(250),
            longest: Duration::from_secs(10),
            total: Duration::from_secs(120),
        }
    }
}

impl Retries {
    /// No call is made again.
    pub const fn never() -> Self {
        let none = Duration::ZERO;
        Self { tries: 1, first: none, longest: none, total: none }
    }

    /// The pause behind the `made`-th call: between half of what it may be and all of it, so that
    /// clients that failed together do not come back together. What the server asks for
    /// (`Retry-After`) is the least.
    fn pause(self, made: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << made.saturating_sub(1).min(20));
        let own = doubled.min(self.longest).mul_f64(0.5 + chance / 2.0);
        asked.unwrap_or_default().max(own)
    }
}

/// The attempts of one call.
#[derive(Debug)]
pub struct Backoff {
    retries: Retries,
    made: u32,
    began: Instant,
}

impl Backoff {
    /// Before the first attempt.
    pub fn new(retries: Retries) -> Self {
        Self { retries, made: 0, began: Instant::now() }
    }

    /// How long to wait before the next attempt, behind one that failed. `None`: it will not be better
    /// ([`ClientError::may_pass`]), or it was tried enough.
    pub fn pause(&mut self, error: &ClientError) -> Option<Duration> {
        self.made += 1;
        if !error.may_pass() || self.made >= self.retries.tries {
            return None;
        }
        let pause = self.retries.pause(self.made, error.retry_after(), chance());
        (self.began.elapsed() + pause <= self.retries.total).then_some(pause)
    }
}

/// Between 0 and 1. Without a source of chance pauses are as long as they may be.
fn chance() -> f64 {
    OsRng.try_next_u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_obey_the_server() {
        let retries = Retries { first: millis(100), longest: millis(500), ..Retries::default() };
        let pauses: Vec<Duration> = (1..=5).map(|made| retries.pause(made, None, 1.0)).collect();
        assert_eq!(pauses, [100, 200, 400, 500, 500].map(millis));
        assert_eq!(retries.pause(1, None, 0.0), millis(50));
        assert_eq!(retries.pause(1, Some(millis(3000)), 0.5), millis(3000));
        assert_eq!(retries.pause(u32::MAX, Some(millis(1)), 1.0), millis(500));
    }

    #[test]
    fn tries_and_time_are_bounded() {
        let again = |retry_after| ClientError::Status { status: 503, retry_after };
        let few = Retries { tries: 3, first: millis(1), ..Retries::default() };
        let mut backoff = Backoff::new(few);
        assert!(backoff.pause(&again(None)).is_some());
        assert!(backoff.pause(&again(None)).is_some());
        assert!(backoff.pause(&again(None)).is_none());
        // The server asks for more time than there is.
        let mut backoff = Backoff::new(Retries { total: millis(900), ..few });
        assert!(backoff.pause(&again(Some(millis(1000)))).is_none());
        assert!(Backoff::new(Retries::never()).pause(&again(None)).is_none());
        let refused = ClientError::Status { status: 500, retry_after: None };
        assert!(Backoff::new(few).pause(&refused).is_none());
    }
}
