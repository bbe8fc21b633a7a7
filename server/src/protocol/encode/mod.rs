//! Arrow record batches to DataRow messages, column by column: each column of a batch is resolved once to the code
//! that writes it, and rows are then written straight into the connection's buffer.

mod cell;
mod datetime;
mod float;
mod integer;
mod interval;
mod json;
mod list;
mod numeric;
mod options;
mod resolve;
mod string;
#[cfg(test)]
mod tests;

use std::ops::Range;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};

pub(super) use self::cell::{Column, patch_length};
pub use self::options::{ByteaOutput, EncodeOptions, Format, IntervalStyle};
use self::resolve::{Style, column};
use super::error::{Kind, Result, ValueError};
use super::types::pg_type;

/// The most columns PostgreSQL returns (`MaxTupleAttributeNumber`).
pub const COLUMNS_MAX: usize = 1_664;

/// Encodes the rows of one result: its schema, the format of each column and the session's settings are fixed.
#[derive(Debug, Clone)]
pub struct RowEncoder {
    /// OID and format of each column, as announced in RowDescription.
    columns: Vec<(u32, Format)>,
    options: EncodeOptions,
}

impl RowEncoder {
    /// An encoder for results of a schema. `formats` has none (text), one (for all) or one per column, as in a Bind
    /// message; another number is a protocol violation.
    pub fn new(schema: &Schema, formats: &[Format], options: &EncodeOptions) -> Result<Self> {
        let count = schema.fields().len();
        if count > COLUMNS_MAX {
            return Err(ValueError::new(
                Kind::LimitExceeded,
                format!("target lists can have at most {COLUMNS_MAX} entries"),
            ));
        }
        let oids = schema.fields().iter().map(|field| pg_type(field.data_type()).oid);
        let columns = oids.zip(Format::spread(formats, count)?).collect();
        Ok(Self { columns, options: options.clone() })
    }

    /// Resolves the columns of a batch, whose rows can then be written in any number of pieces.
    pub fn bind(&self, batch: &RecordBatch) -> Result<BoundRows> {
        if batch.num_columns() != self.columns.len() {
            return Err(ValueError::new(Kind::Internal, "a batch has another number of columns than its schema"));
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (array, (oid, format)) in batch.columns().iter().zip(&self.columns) {
            if pg_type(array.data_type()).oid != *oid {
                return Err(ValueError::new(Kind::Internal, "a batch has a column of another type than its schema")
                    .with_detail(format!("The column is of type {}.", array.data_type())));
            }
            let style = match format {
                Format::Text => Style::Text,
                Format::Binary => Style::Binary,
            };
            columns.push(column(array, style, &self.options)?);
        }
        Ok(BoundRows { columns, rows: batch.num_rows() })
    }

    /// Appends a complete DataRow message for each of `rows`. After an error the buffer holds the messages of the
    /// rows before the faulty one, all complete.
    pub fn encode(&self, batch: &RecordBatch, rows: Range<usize>, out: &mut BytesMut) -> Result<()> {
        self.bind(batch)?.encode(rows, usize::MAX, out).map(|_| ())
    }
}

/// A batch whose columns are resolved.
pub struct BoundRows {
    columns: Vec<Column>,
    rows: usize,
}

impl BoundRows {
    /// The number of rows of the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends DataRow messages for `rows` until the buffer holds `bytes_max` or more, and returns the first row not
    /// written: a caller flushes the buffer and goes on from there, and so bounds it to that size and one row.
    pub fn encode(&self, rows: Range<usize>, bytes_max: usize, out: &mut BytesMut) -> Result<usize> {
        if rows.end > self.rows {
            return Err(ValueError::new(Kind::Internal, "rows outside their batch were asked for"));
        }
        let mut row = rows.start;
        while row < rows.end && out.len() < bytes_max {
            let start = out.len();
            if let Err(error) = self.encode_row(row, out) {
                out.truncate(start);
                return Err(error);
            }
            row += 1;
        }
        Ok(row)
    }

    /// The columns, for those who write rows in another form than DataRow.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn encode_row(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let start = out.len();
        let [high, low] = (self.columns.len() as u16).to_be_bytes();
        out.put_slice(&[b'D', 0, 0, 0, 0, high, low]);
        for column in &self.columns {
            column.write_field(row, out)?;
        }
        patch_length(out, start + 1, start + 1)
    }
}
