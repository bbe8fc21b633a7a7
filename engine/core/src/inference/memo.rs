//! Answers of earlier windows: a text that comes again later in the statement isn't sent again.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use datafusion::execution::memory_pool::MemoryReservation;
use parking_lot::Mutex;

/// What one call in one partition remembers. It remembers the first answers, up to its limit and as far as there is
/// memory.
pub(super) struct Memo {
    bytes_max: usize,
    remembered: Mutex<Remembered>,
}

struct Remembered {
    /// Chunk and row of the answer to an input.
    places: HashMap<Box<[u8]>, (usize, usize)>,
    chunks: Vec<ArrayRef>,
    reservation: MemoryReservation,
}

/// An input, divided.
pub(super) struct Recalled {
    /// The rows that nobody has asked before: these are to be sent.
    pub unknown: ArrayRef,
    keys: Vec<Box<[u8]>>,
    /// For each row the place of its answer, or its place among the unknown.
    rows: Vec<Result<(usize, usize), usize>>,
}

impl Memo {
    /// Texts are long and answers large: some ten thousand of them fit.
    pub const BYTES_MAX: usize = 64 << 20;

    pub fn new(bytes_max: usize, reservation: MemoryReservation) -> Self {
        let remembered = Remembered { places: HashMap::new(), chunks: vec![], reservation };
        Self { bytes_max, remembered: Mutex::new(remembered) }
    }

    /// `input`: distinct rows.
    pub fn recall(&self, input: &ArrayRef) -> Result<Recalled, ArrowError> {
        let field = SortField::new(input.data_type().clone());
        let encoded = RowConverter::new(vec![field])?.convert_columns(std::slice::from_ref(input))?;
        let mut unknown: Vec<u32> = vec![];
        let mut keys = vec![];
        let mut rows = Vec::with_capacity(input.len());
        let remembered = self.remembered.lock();
        for (index, row) in (0_u32..).zip(encoded.iter()) {
            match remembered.places.get(row.as_ref()) {
                Some(place) => rows.push(Ok(*place)),
                None => {
                    rows.push(Err(unknown.len()));
                    unknown.push(index);
                    keys.push(row.as_ref().into());
                }
            }
        }
        let unknown = match unknown.len() == input.len() {
            true => ArrayRef::clone(input),
            false => take(input, &UInt32Array::from(unknown), None)?,
        };
        Ok(Recalled { unknown, keys, rows })
    }

    /// The answers to the whole input, given those to the unknown rows; which are remembered.
    pub fn complete(&self, recalled: Recalled, answers: ArrayRef) -> Result<ArrayRef, ArrowError> {
        let mut remembered = self.remembered.lock();
        let whole = match recalled.unknown.len() == recalled.rows.len() {
            true => ArrayRef::clone(&answers),
            false => {
                let mut parts: Vec<&dyn Array> = remembered.chunks.iter().map(AsRef::as_ref).collect();
                let fresh = parts.len();
                parts.push(answers.as_ref());
                let places: Vec<_> = recalled.rows.iter().map(|row| row.unwrap_or_else(|row| (fresh, row))).collect();
                interleave(&parts, &places)?
            }
        };
        remembered.add(recalled.keys, answers, self.bytes_max);
        Ok(whole)
    }
}

impl Remembered {
    fn add(&mut self, keys: Vec<Box<[u8]>>, answers: ArrayRef, bytes_max: usize) {
        let entry_bytes = size_of::<(Box<[u8]>, (usize, usize))>();
        let keys_bytes: usize = keys.iter().map(|key| key.len() + entry_bytes).sum();
        let added_bytes = keys_bytes + answers.get_array_memory_size();
        let fits = self.reservation.size() + added_bytes <= bytes_max;
        if keys.is_empty() || !fits || self.reservation.try_grow(added_bytes).is_err() {
            return;
        }
        let chunk = self.chunks.len();
        self.places.extend(keys.into_iter().zip(0..).map(|(key, row)| (key, (chunk, row))));
        self.chunks.push(answers);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};

    use super::*;

    /// Asks for texts whose answer is their length; gives the answers and how many were sent.
    fn ask(memo: &Memo, texts: &[&str]) -> (Vec<i64>, usize) {
        let recalled = memo.recall(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)).unwrap();
        let sent = recalled.unknown.len();
        let lengths = recalled.unknown.as_string::<i32>().iter().map(|text| text.map(|text| text.len() as i64));
        let answers = Arc::new(Int64Array::from_iter(lengths)) as ArrayRef;
        let whole = memo.complete(recalled, answers).unwrap();
        (whole.as_primitive::<Int64Type>().values().to_vec(), sent)
    }

    fn memo(bytes_max: usize) -> Memo {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        Memo::new(bytes_max, MemoryConsumer::new("test").register(&pool))
    }

    #[test]
    fn what_was_asked_is_not_asked_again() {
        let memo = memo(1 << 20);
        assert_eq!(ask(&memo, &["a", "bb"]), (vec![1, 2], 2));
        assert_eq!(ask(&memo, &["ccc", "bb", "dddd", "a"]), (vec![3, 2, 4, 1], 2));
        assert_eq!(ask(&memo, &["dddd", "ccc", "bb"]), (vec![4, 3, 2], 0));
    }

    #[test]
    fn beyond_its_limit_it_only_answers() {
        let memo = memo(1);
        assert_eq!(ask(&memo, &["a", "bb"]), (vec![1, 2], 2));
        assert_eq!(ask(&memo, &["bb", "a"]), (vec![2, 1], 2));
    }
}
