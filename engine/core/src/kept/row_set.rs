//! A set of row numbers: one bit for each number, in pages that exist once one of their numbers is in.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

const PAGE_BITS: u64 = 1 << 16;
const PAGE_WORDS: usize = (PAGE_BITS / 64) as usize;
const PAGE_BYTES: usize = PAGE_WORDS * 8;

/// Its pages are taken from the memory pool.
pub(crate) struct RowSet {
    pages: HashMap<u64, Box<[u64; PAGE_WORDS]>>,
    count: u64,
    reservation: MemoryReservation,
}

impl RowSet {
    pub fn new(pool: &Arc<dyn MemoryPool>) -> RowSet {
        RowSet { pages: HashMap::new(), count: 0, reservation: MemoryConsumer::new("row numbers").register(pool) }
    }

    /// True when the number wasn't in before.
    ///
    /// # Errors
    /// When the memory pool has no room for another page.
    pub fn insert(&mut self, row: u64) -> Result<bool> {
        let (page, word, bit) = place(row);
        if !self.pages.contains_key(&page) {
            self.reservation.try_grow(PAGE_BYTES)?;
        }
        let words = self.pages.entry(page).or_insert_with(|| Box::new([0; PAGE_WORDS]));
        let Some(word) = words.get_mut(word) else { return Ok(false) };
        let added = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(added);
        Ok(added)
    }

    pub fn contains(&self, row: u64) -> bool {
        let (page, word, bit) = place(row);
        self.pages.get(&page).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    pub fn len(&self) -> u64 {
        self.count
    }
}

impl fmt::Debug for RowSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RowSet").field("count", &self.count).finish_non_exhaustive()
    }
}

fn place(row: u64) -> (u64, usize, u64) {
    let in_page = row % PAGE_BITS;
    (row / PAGE_BITS, (in_page / 64) as usize, 1 << (in_page % 64))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn numbers_are_in_once() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(10 * PAGE_BYTES));
        let mut rows = RowSet::new(&pool);
        for row in [0, 63, 64, PAGE_BITS - 1, PAGE_BITS, u64::MAX] {
            assert!(!rows.contains(row));
            assert!(rows.insert(row).unwrap());
            assert!(!rows.insert(row).unwrap());
            assert!(rows.contains(row));
        }
        assert_eq!((rows.len(), rows.contains(1)), (6, false));
        assert_eq!(pool.reserved(), 3 * PAGE_BYTES);
        drop(rows);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_full_pool_is_an_error() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(PAGE_BYTES));
        let mut rows = RowSet::new(&pool);
        rows.insert(1).unwrap();
        assert!(rows.insert(PAGE_BITS).is_err());
        rows.insert(2).unwrap();
    }
}
