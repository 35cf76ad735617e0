//! A statement's share of the memory that all plans have together.

use std::fmt;
use std::sync::Arc;

use deltalake::datafusion::common::Result;
use deltalake::datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// A pool that gives no more than a share, and nothing that the pool of all does not have.
#[derive(Debug)]
pub(super) struct SharePool {
    share: FairSpillPool,
    bytes: usize,
    of_all: MemoryReservation,
}

impl SharePool {
    /// A share of so many bytes.
    pub fn new(bytes: usize, all: &Arc<dyn MemoryPool>) -> Self {
        let of_all = MemoryConsumer::new("statement").register(all);
        Self { share: FairSpillPool::new(bytes), bytes, of_all }
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
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.share.shrink(reservation, shrink);
        self.of_all.shrink(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.of_all.try_grow(additional)?;
        let granted = self.share.try_grow(reservation, additional);
        if granted.is_err() {
            self.of_all.shrink(additional);
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
}
