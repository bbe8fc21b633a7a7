//! NOT NULL at any depth: finds the first row of an array that has a NULL where its field allows none.
//!
//! A nested field is asked only where its parent is there: a NULL struct breaks its own promise, not its children's.

use arrow::array::{Array, AsArray, BooleanBufferBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};

/// Whether `field`, or a field inside it, is NOT NULL.
pub(crate) fn has_promise(field: &Field) -> bool {
    !field.is_nullable() || children_promise(field.data_type())
}

fn children_promise(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) => has_promise(element),
        DataType::Struct(fields) => fields.iter().any(|field| has_promise(field)),
        // Arrow itself keeps map keys from being NULL.
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => pair.last().is_some_and(|value| has_promise(value)),
            _ => false,
        },
        _ => false,
    }
}

/// The dotted path of the first field found broken, and the first row (of `array`) that breaks it.
pub(crate) fn first_broken(array: &dyn Array, field: &Field) -> Option<(String, usize)> {
    broken(array, field, None)
}

/// `present` marks the rows whose parent is there; `None` is all of them.
fn broken(array: &dyn Array, field: &Field, present: Option<&NullBuffer>) -> Option<(String, usize)> {
    if !field.is_nullable() && array.null_count() > 0 {
        let row = (0..array.len()).find(|row| array.is_null(*row) && present.is_none_or(|rows| rows.is_valid(*row)));
        if let Some(row) = row {
            return Some((field.name().clone(), row));
        }
    }
    if !children_promise(field.data_type()) {
        return None;
    }
    let (path, row) = broken_child(array, field, present)?;
    Some((format!("{}.{path}", field.name()), row))
}

fn broken_child(array: &dyn Array, field: &Field, present: Option<&NullBuffer>) -> Option<(String, usize)> {
    let present = NullBuffer::union(present, array.nulls());
    match field.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct_opt()?.columns();
            fields.iter().zip(columns).find_map(|(child, column)| broken(column, child, present.as_ref()))
        }
        DataType::List(element) => {
            let list = array.as_list_opt::<i32>()?;
            broken_item(list.values(), list.offsets(), element, present.as_ref())
        }
        DataType::Map(entries, _) => {
            let map = array.as_map_opt()?;
            let DataType::Struct(pair) = entries.data_type() else { return None };
            broken_item(map.values(), map.offsets(), pair.last()?, present.as_ref())
        }
        _ => None,
    }
}

fn broken_item(
    items: &dyn Array,
    offsets: &OffsetBuffer<i32>,
    field: &Field,
    present: Option<&NullBuffer>,
) -> Option<(String, usize)> {
    let position = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
    let rows = offsets.len().saturating_sub(1);
    let (first, last) = (position(0)?, position(rows)?);
    let items = items.slice(first, last.checked_sub(first)?);
    let owners = present.map(|present| {
        let mut builder = BooleanBufferBuilder::new(items.len());
        for (row, length) in offsets.lengths().enumerate() {
            builder.append_n(length, present.is_valid(row));
        }
        NullBuffer::new(builder.finish())
    });
    let (path, item) = broken(&items, field, owners.as_ref())?;
    let row = (0..rows).find(|row| position(row + 1).is_some_and(|end| end > first + item))?;
    Some((path, row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, ListArray, StructArray};
    use arrow::datatypes::Fields;

    use super::*;

    fn child(name: &str, nullable: bool) -> Field {
        Field::new(name, DataType::Int32, nullable)
    }

    #[test]
    fn a_null_parent_hides_its_children() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, None]));
        let fields = Fields::from(vec![child("x", true)]);
        let promised = DataType::Struct(Fields::from(vec![child("x", false)]));
        let rows = StructArray::new(fields.clone(), vec![values.clone()], Some(vec![true, false, true].into()));
        let field = Field::new("s", promised.clone(), true);
        assert_eq!(first_broken(&rows, &field), Some(("s.x".to_owned(), 2)));
        let rows = StructArray::new(fields, vec![values], Some(vec![true, false, false].into()));
        assert_eq!(first_broken(&rows, &field), None);
        let field = Field::new("s", promised, false);
        assert_eq!(first_broken(&rows, &field), Some(("s".to_owned(), 1)));
    }

    #[test]
    fn an_item_is_found_in_its_row_of_a_slice() {
        let items: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(1), Some(2), None]));
        let lists = ListArray::new(
            Arc::new(child("element", true)),
            OffsetBuffer::from_lengths([1, 2, 0, 1]),
            items,
            Some(vec![true, true, false, true].into()),
        );
        let field = Field::new("l", DataType::List(Arc::new(child("element", false))), true);
        assert_eq!(first_broken(&lists, &field), Some(("l.element".to_owned(), 0)));
        assert_eq!(first_broken(&lists.slice(1, 3), &field), Some(("l.element".to_owned(), 2)));
        assert_eq!(first_broken(&lists.slice(1, 2), &field), None);
    }
}
