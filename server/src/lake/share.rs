//! A statement's share of the memory that all plans have together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use deltalake::datafusion::common::{Result, resources_err};
use deltalake::datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Bytes that those who can spill leave to those who cannot, at most half of a share. A sort that
/// begins to spill first reserves 10 MiB in each partition for merging
/// (`sort_spill_reservation_bytes`); where another partition's rows took them, it fails.
const HEADROOM: usize = 64 << 20;

/// A pool that gives no more than a share, and nothing that the pool of all does not have.
#[derive(Debug)]
pub(super) struct SharePool {
    share: FairSpillPool,
    bytes: usize,
    /// Bytes of those who can spill.
    spillable: AtomicUsize,
    of_all: MemoryReservation,
}

impl SharePool {
    /// A share of so many bytes.
    pub fn new(bytes: usize, all: &Arc<dyn MemoryPool>) -> Self {
        let of_all = MemoryConsumer::new("statement").register(all);
        Self { share: FairSpillPool::new(bytes), bytes, spillable: AtomicUsize::new(0), of_all }
    }
}

impl SharePool {
    fn count(&self, reservation: &MemoryReservation, change: impl FnOnce(&AtomicUsize) -> usize) {
        if reservation.consumer().can_spill() {
            change(&self.spillable);
        }
    }
}

impl fmt::Display for SharePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement({} bytes)", self.bytes)
    }
}

impl MemoryPool for SharePool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.share.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.share.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.of_all.grow(additional);
        self.share.grow(reservation, additional);
        self.count(reservation, |spillable| spillable.fetch_add(additional, Relaxed));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.share.shrink(reservation, shrink);
        self.of_all.shrink(shrink);
        self.count(reservation, |spillable| spillable.fetch_sub(shrink, Relaxed));
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let most = self.bytes - HEADROOM.min(self.bytes / 2);
        let spillable = self.spillable.load(Relaxed).saturating_add(additional);
        if reservation.consumer().can_spill() && spillable > most {
            return resources_err!("{} bytes can be spilled", reservation.size());
        }
        self.of_all.try_grow(additional)?;
        let granted = self.share.try_grow(reservation, additional);
        match granted {
            Ok(()) => {
                self.count(reservation, |spillable| spillable.fetch_add(additional, Relaxed));
            }
            Err(_) => self.of_all.shrink(additional),
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.share.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_bounded_by_itself_and_by_all() {
        let all: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(100));
        let one: Arc<dyn MemoryPool> = Arc::new(SharePool::new(60, &all));
        let two: Arc<dyn MemoryPool> = Arc::new(SharePool::new(60, &all));
        let first = MemoryConsumer::new("a").register(&one);
        let second = MemoryConsumer::new("b").register(&two);
        assert!(first.try_grow(61).is_err());
        first.try_grow(60).unwrap();
        assert!(second.try_grow(41).is_err());
        second.try_grow(40).unwrap();
        assert_eq!(all.reserved(), 100);
        drop(first);
        assert_eq!(all.reserved(), 40);
        assert!(second.try_grow(20).is_ok());
        drop(second);
        assert_eq!(all.reserved(), 0);
    }

    #[test]
    fn what_can_be_spilled_leaves_room_for_what_cannot() {
        let all: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        let share: Arc<dyn MemoryPool> = Arc::new(SharePool::new(100, &all));
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&share);
        assert!(sort.try_grow(51).is_err());
        sort.try_grow(50).unwrap();
        let merge = MemoryConsumer::new("merge").register(&share);
        merge.try_grow(50).unwrap();
        drop(merge);
        sort.shrink(20);
        sort.try_grow(20).unwrap();
        drop(sort);
        assert_eq!((share.reserved(), all.reserved()), (0, 0));
    }
}
