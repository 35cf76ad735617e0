//! Files that are in no commit: whether somebody may still commit them.

use super::purge::PurgeOrder;
use crate::lake::error::LakeError;
use crate::lake::fence::PURGE;
use crate::lake::purged::Purged;
use crate::lake::store::Lake;
use crate::lake::table::Table;

/// How far the clocks of a bucket's servers may be apart, in milliseconds.
const SKEW: i64 = 1000;

/// Which files that are in no commit nobody can commit any more.
///
/// Whoever wrote them before the commit with which a purge begins runs into it, and all but loads write
/// anew then: what a load was sent came in a stream, so that it commits the files that it has. Those of
/// loads go when they are old; so do all where the purge began without a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What was written before this moment, in epoch milliseconds, is old.
    old: i64,
    /// When the commit was made with which the purge begins, by the clock of the store, which files
    /// have their times from, too.
    fence: Option<i64>,
    /// When the purge began.
    began: i64,
    /// Whether loads write the table.
    loaded: bool,
}

impl Table {
    /// Which files that are in no commit nobody can commit any more, once this purge has begun; and
    /// whether loads write the table.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn unfinished(
        &self,
        lake: &Lake,
        purged: &Purged,
        order: &PurgeOrder,
        loaded: bool,
    ) -> Result<Unfinished, LakeError> {
        let newest = self.refreshed().await?;
        // One that an earlier version of this server began did not fence.
        let fence = match purged.marked && newest.number(PURGE)? == Some(purged.version) {
            true => newest.written_at(purged.version).await?,
            false => None,
        };
        let skew = lake.location.local().map_or(SKEW, |_| 0);
        let fence = fence.map(|fence| fence.saturating_sub(skew));
        let (old, began) = (order.unfinished_before(), purged.at);
        Ok(Unfinished { old, fence, began, loaded })
    }
}

impl Unfinished {
    /// Whether nobody can commit a file any more that was written at a moment, in epoch milliseconds.
    pub(super) fn is_over(&self, name: &str, written: i64) -> bool {
        // Loads write data files only, into the table's folder itself.
        let before = if name.contains('/') { self.apart() } else { self.at_root() };
        written < before
    }

    /// Whether a file that may still be committed is one that the purge has to wait for: a younger one
    /// is none of its business.
    pub fn concerns(&self, written: i64) -> bool {
        written <= self.fence.unwrap_or(self.began)
    }

    /// Before this moment files were written that nobody can commit any more, in epoch milliseconds:
    /// those in the table's folder itself.
    pub fn at_root(&self) -> i64 {
        if self.loaded { self.old } else { self.apart() }
    }

    /// Those in its other folders.
    pub fn apart(&self) -> i64 {
        self.fence.map_or(self.old, |fence| self.old.max(fence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_the_fence_is_over_but_for_loads() {
        let derived = Unfinished { old: 10, fence: Some(50), began: 60, loaded: false };
        // A clock may be as coarse as seconds: what is of the same moment may be later.
        for (written, over, concerns) in
            [(9, true, true), (49, true, true), (50, false, true), (51, false, false)]
        {
            for name in ["part-1", "_change_data/part-1", "_delta_log/_commit_1.json.tmp"] {
                assert_eq!(derived.is_over(name, written), over, "{name} {written}");
            }
            assert_eq!(derived.concerns(written), concerns);
            let loaded = Unfinished { loaded: true, ..derived };
            assert_eq!(loaded.is_over("part-1", written), written < 10);
            assert_eq!(loaded.is_over("rewritten/part-1", written), over);
        }
    }

    #[test]
    fn without_a_fence_only_what_is_old_is_over() {
        let none = Unfinished { old: 10, fence: None, began: 60, loaded: false };
        for name in ["part-1", "rewritten/part-1"] {
            assert!(none.is_over(name, 9) && !none.is_over(name, 10));
        }
        assert!(none.concerns(60) && !none.concerns(61));
    }
}
