//! Optimized plans of statements that were asked before.
//!
//! A plan is good for the same statement with the same values, for the same sight and the same
//! versions of its tables, which is what its key, the tag, is made of.

use std::sync::{Mutex, PoisonError};

use deltalake::datafusion::logical_expr::LogicalPlan;

/// Plans that are kept.
const PLANS: usize = 64;
/// Bytes of a statement whose plan is kept: a plan is some ten times as large.
const STATEMENT_BYTES: usize = 8 * 1024;

/// The plans that were asked for last.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Vec<(String, LogicalPlan)>>);

impl Plans {
    /// The plan with this tag.
    pub fn get(&self, tag: &str) -> Option<LogicalPlan> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = plans.iter().position(|(known, _)| known == tag)?;
        let found = plans.remove(place);
        let plan = found.1.clone();
        plans.push(found);
        Some(plan)
    }

    /// Keeps a plan, in the place of the one that was asked for longest ago.
    pub fn keep(&self, tag: &str, sql: &str, plan: &LogicalPlan) {
        if sql.len() > STATEMENT_BYTES {
            return;
        }
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|(known, _)| known != tag);
        if plans.len() >= PLANS {
            plans.remove(0);
        }
        plans.push((tag.to_owned(), plan.clone()));
    }
}

#[cfg(test)]
mod tests {
    use deltalake::datafusion::logical_expr::LogicalPlanBuilder;

    use super::*;

    #[test]
    fn the_last_asked_stay() {
        let plan = LogicalPlanBuilder::empty(true).build().unwrap();
        let plans = Plans::default();
        plans.keep("long", &"x".repeat(STATEMENT_BYTES + 1), &plan);
        assert!(plans.get("long").is_none());
        for place in 0..PLANS {
            plans.keep(&place.to_string(), "s", &plan);
        }
        assert!(plans.get("0").is_some());
        plans.keep("one more", "s", &plan);
        assert!(plans.get("0").is_some() && plans.get("one more").is_some());
        assert!(plans.get("1").is_none());
    }
}
