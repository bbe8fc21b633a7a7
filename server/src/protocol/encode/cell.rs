//! One column of a batch, resolved to the code that writes its values.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use bytes::{BufMut, BytesMut};

use crate::protocol::error::{Kind, Result, ValueError};

/// Writes the values of one array. Never asked for a null row, nor for one outside the array.
pub(super) trait Cell: Send + Sync {
    /// Appends the value of a row, without its length.
    fn write(&self, row: usize, out: &mut BytesMut) -> Result<()>;

    /// Appends the value of a row with its length before it.
    fn write_field(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let start = out.len();
        out.put_i32(0);
        self.write(row, out)?;
        patch_length(out, start, start + 4)
    }
}

struct Closure<F>(F);

impl<F: Fn(usize, &mut BytesMut) -> Result<()> + Send + Sync> Cell for Closure<F> {
    fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        (self.0)(row, out)
    }
}

/// A cell made of a closure over its array.
pub(super) fn cell<F>(write: F) -> Box<dyn Cell>
where
    F: Fn(usize, &mut BytesMut) -> Result<()> + Send + Sync + 'static,
{
    Box::new(Closure(write))
}

/// An array with the code that writes it: nulls are told apart here, once for all types.
pub(in crate::protocol) struct Column {
    nulls: Option<NullBuffer>,
    cell: Box<dyn Cell>,
}

impl Column {
    pub(super) fn new(array: &ArrayRef, cell: Box<dyn Cell>) -> Self {
        // A type may carry its nulls in its children (dictionaries, runs, unions); the mask is computed once here.
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        Self { nulls, cell }
    }

    #[inline]
    pub(in crate::protocol) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the value of a row that isn't null, without its length.
    pub(in crate::protocol) fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        self.cell.write(row, out)
    }

    /// Appends length and value, or -1 for a null.
    #[inline]
    pub(in crate::protocol) fn write_field(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        self.cell.write_field(row, out)
    }
}

/// Writes into the four bytes at `at` how many bytes follow from `start` to the end of the buffer.
#[inline]
pub(in crate::protocol) fn patch_length(out: &mut BytesMut, at: usize, start: usize) -> Result<()> {
    let length = i32::try_from(out.len() - start).map_err(|_| too_large())?;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

#[cold]
fn too_large() -> ValueError {
    ValueError::new(Kind::LimitExceeded, "a value or row is larger than 2 GB, the most that a message can hold")
}
