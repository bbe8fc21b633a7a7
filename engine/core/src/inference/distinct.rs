//! Inputs without their duplicates: which rows of a window are sent, and where each row finds its answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// A window's request, reduced to what has to be sent.
pub(super) struct Reduced {
    /// NULL-free and, where duplicates were looked for, distinct.
    pub input: ArrayRef,
    /// For each row of the window the row of `input` that answers it, NULL for a row that isn't answered; none when
    /// the two are the same rows.
    pub answers: Option<UInt32Array>,
    /// Rows of the window that reached the call.
    pub reached: usize,
}

/// Removes duplicates as long as there are enough of them to be worth the search.
#[derive(Debug)]
pub(super) struct Deduplication {
    /// Whether a search without success ends all searching: for models so fast that hashing their input shows.
    may_stop: bool,
    stopped: AtomicBool,
}

impl Deduplication {
    pub fn always() -> Self {
        Self { may_stop: false, stopped: AtomicBool::new(false) }
    }

    pub fn while_useful() -> Self {
        Self { may_stop: true, stopped: AtomicBool::new(false) }
    }

    /// `guard`: the rows that reach the call. A row whose request is NULL is not sent.
    pub fn reduce(&self, request: &ArrayRef, guard: Option<&BooleanArray>) -> Result<Reduced, ArrowError> {
        let (sent, reached) = sent_rows(request, guard);
        let candidates = match &sent {
            Some(sent) => take(request, sent, None)?,
            None => ArrayRef::clone(request),
        };
        let Some((first, group)) = self.groups(&candidates)? else {
            let answers = sent.map(|sent| positions(&sent, request.len(), |position| position));
            return Ok(Reduced { input: candidates, answers, reached });
        };
        let input = take(&candidates, &first, None)?;
        let answers = match sent {
            Some(sent) => {
                positions(&sent, request.len(), |position| group.get(position as usize).copied().unwrap_or(0))
            }
            None => UInt32Array::from(group),
        };
        Ok(Reduced { input, answers: Some(answers), reached })
    }

    /// The first row of each distinct value, and for each row the place of its value among those; none when all rows
    /// are distinct or nobody looked.
    fn groups(&self, candidates: &ArrayRef) -> Result<Option<(UInt32Array, Vec<u32>)>, ArrowError> {
        const ROWS_JUDGED_MIN: usize = 200;
        // A tree ensemble scores a row in the time that hashing two takes.
        const DISTINCT_SHARE_MAX: f64 = 0.5;
        let field = SortField::new(candidates.data_type().clone());
        let searched = candidates.len() > 1
            && !self.stopped.load(Ordering::Relaxed)
            && RowConverter::supports_fields(std::slice::from_ref(&field));
        if !searched {
            return Ok(None);
        }
        let rows = RowConverter::new(vec![field])?.convert_columns(std::slice::from_ref(candidates))?;
        let mut places = HashMap::with_capacity(candidates.len());
        let mut first: Vec<u32> = vec![];
        let mut group = Vec::with_capacity(candidates.len());
        for (index, row) in (0_u32..).zip(rows.iter()) {
            let place = match places.entry(row) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(vacant) => {
                    first.push(index);
                    *vacant.insert(first.len() as u32 - 1)
                }
            };
            group.push(place);
        }
        let share = first.len() as f64 / candidates.len() as f64;
        if self.may_stop && candidates.len() >= ROWS_JUDGED_MIN && share > DISTINCT_SHARE_MAX {
            self.stopped.store(true, Ordering::Relaxed);
        }
        Ok((first.len() < candidates.len()).then(|| (UInt32Array::from(first), group)))
    }
}

/// The rows to be sent, or none for all; and how many reached the call.
fn sent_rows(request: &ArrayRef, guard: Option<&BooleanArray>) -> (Option<UInt32Array>, usize) {
    let nulls = request.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let reached = guard.map_or(request.len(), BooleanArray::true_count);
    if nulls.is_none() && reached == request.len() {
        return (None, reached);
    }
    let reaches = |row: usize| guard.is_none_or(|guard| guard.is_valid(row) && guard.value(row));
    let sent = (0..request.len())
        .filter(|&row| reaches(row) && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)))
        .map(|row| row as u32);
    (Some(UInt32Array::from_iter_values(sent)), reached)
}

/// For each of `length` rows: the answer's place for the rows that were sent, NULL for the others.
fn positions(sent: &UInt32Array, length: usize, place: impl Fn(u32) -> u32) -> UInt32Array {
    let mut answers: Vec<Option<u32>> = vec![None; length];
    for (position, row) in (0_u32..).zip(sent.values()) {
        if let Some(answer) = answers.get_mut(*row as usize) {
            *answer = Some(place(position));
        }
    }
    UInt32Array::from(answers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};

    use super::*;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    /// What rows see when the model answers with its input.
    fn answered(reduced: &Reduced) -> Vec<Option<String>> {
        let answers = match &reduced.answers {
            Some(answers) => take(&reduced.input, answers, None).unwrap(),
            None => ArrayRef::clone(&reduced.input),
        };
        answers.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn duplicates_nulls_and_guarded_rows_are_not_sent() {
        let request = texts(&[Some("a"), Some("b"), None, Some("a"), Some("c"), Some("b")]);
        let guard = BooleanArray::from(vec![true, true, true, true, false, true]);
        let reduced = Deduplication::always().reduce(&request, Some(&guard)).unwrap();
        assert_eq!((reduced.input.len(), reduced.reached), (2, 5));
        let expected = [Some("a"), Some("b"), None, Some("a"), None, Some("b")];
        assert_eq!(answered(&reduced), expected.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn distinct_rows_pass_as_they_are() {
        let request = texts(&[Some("a"), Some("b")]);
        let reduced = Deduplication::always().reduce(&request, None).unwrap();
        assert!(reduced.answers.is_none() && Arc::ptr_eq(&reduced.input, &request));
    }

    #[test]
    fn nothing_is_sent_when_no_row_reaches_the_call() {
        let request = texts(&[Some("a"), None]);
        let guard = BooleanArray::from(vec![false, true]);
        let reduced = Deduplication::always().reduce(&request, Some(&guard)).unwrap();
        assert_eq!((reduced.input.len(), reduced.reached), (0, 1));
        assert_eq!(answered(&reduced), [None, None]);
    }

    #[test]
    fn a_fruitless_search_is_the_last_where_it_may_be() {
        let distinct: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let same: ArrayRef = Arc::new(Int64Array::from(vec![7; 1_000]));
        for (deduplication, sent) in [(Deduplication::while_useful(), 1_000), (Deduplication::always(), 1)] {
            assert_eq!(deduplication.reduce(&distinct, None).unwrap().input.len(), 1_000);
            assert_eq!(deduplication.reduce(&same, None).unwrap().input.len(), sent);
        }
    }
}
