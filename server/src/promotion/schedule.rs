//! Runs that begin by themselves: at the times of a schedule, and after loads.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use croner::Cron;
use stedi_openapi::{PromotionCause, PromotionInfo, WorkState};

use super::error::PromotionError;
use super::runs::Order;
use super::service::Promotions;
use crate::ledger::{Asked, Asker};

/// The longest sleep: a clock that is set meanwhile is noticed then.
const NAP: Duration = Duration::from_secs(60);
/// How soon an order is given again that was not taken.
const AGAIN: Duration = Duration::from_secs(5);

/// Times, as cron writes them (POSIX `crontab`, five fields; a sixth in front for seconds), in UTC.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

/// Not a schedule.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a schedule like \"0 3 * * *\": {reason}")]
pub struct ScheduleError {
    text: String,
    reason: String,
}

impl Schedule {
    /// Reads it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let wrong = |reason: String| ScheduleError { text: text.to_owned(), reason };
        let cron = Cron::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let schedule = Self(cron);
        match schedule.after(Utc::now()) {
            Some(_) => Ok(schedule),
            None => Err(wrong("there is no such time".to_owned())),
        }
    }

    /// The next time after one.
    fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&time, false).ok()
    }
}

impl Promotions {
    /// Gives the orders of the schedule until the server stops. All servers of a lake do, and each
    /// time is one run: its key is the time.
    pub async fn keep_schedule(&self) {
        let Some(schedule) = &self.schedule else { return };
        let mut from = Utc::now();
        while let Some(next) = schedule.after(from) {
            loop {
                let left = (next - Utc::now()).to_std().unwrap_or_default();
                if left.is_zero() {
                    break;
                }
                if self.stopped_within(left.min(NAP)).await {
                    return;
                }
            }
            let key = format!("schedule {}", next.timestamp_millis());
            if let Err(error) = self.order(PromotionCause::Schedule, Some(&key)).await {
                tracing::warn!(%error, time = %next, "a scheduled promotion was not begun");
            }
            // Times that passed while the machine slept are one.
            from = next.max(Utc::now());
        }
    }

    /// Orders a run after loads, if the pipeline says so, until the server stops.
    pub async fn keep_following_loads(&self) {
        let Some(pause) = self.after_load else { return };
        loop {
            tokio::select! {
                () = self.loads.notified() => {}
                () = self.work().stopping().cancelled() => return,
            }
            // What is loaded meanwhile is in the same run.
            if self.stopped_within(pause).await {
                return;
            }
            while let Err(error) = self.order(PromotionCause::Load, None).await {
                tracing::warn!(%error, "no promotion was begun after a load");
                if self.stopped_within(AGAIN).await {
                    return;
                }
            }
        }
    }

    /// Orders a run of all tables, unless one waits already.
    async fn order(&self, cause: PromotionCause, key: Option<&str>) -> Result<(), PromotionError> {
        if key.is_none() && self.one_waits().await? {
            return Ok(());
        }
        self.ask(Asker::service(), cause, None, key).await.map(|_| ())
    }

    /// Whether a run of all tables waits that nobody began: it will see what is there now.
    async fn one_waits(&self) -> Result<bool, PromotionError> {
        let all = self.in_order(None)?;
        let open = self.work().open().await?;
        let waits = |(asked, run): &(Asked<Order>, PromotionInfo)| {
            run.state == WorkState::Queued && asked.order.tables == all
        };
        Ok(open.iter().any(waits))
    }

    async fn stopped_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.work().stopping().cancelled()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_what_is_none_says_why() {
        let from = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        let next = |text: &str| Schedule::parse(text).unwrap().after(from).unwrap().to_rfc3339();
        assert_eq!(next("0 3 * * *"), "2023-11-15T03:00:00+00:00");
        assert_eq!(next("*/5 * * * *"), "2023-11-14T22:15:00+00:00");
        assert_eq!(next("*/10 * * * * *"), "2023-11-14T22:13:30+00:00");
        for text in ["", "x", "99 3 * * *", "0 0 31 2 *"] {
            let error = Schedule::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is not a schedule")), "{error}");
        }
    }
}
