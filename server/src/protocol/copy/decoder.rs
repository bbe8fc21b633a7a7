//! Bytes into rows.

use std::sync::Arc;

use alluvia_core::{CopyFormat, CopyHeader, CopyKind};
use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::columns::Source;
use super::fault::{at_column, at_line, in_line, in_value, malformed, not_utf8};
use super::gathered::Gathered;
use super::lines::{Cut, Lines};
use super::split;
use super::tuples::{Taken, Tuples};
use crate::protocol::encode::Format;
use crate::protocol::error::{Kind, ValueError};
use crate::protocol::report::Report;
use crate::protocol::time_zone::TimeZone;

/// The longest row, as in PostgreSQL.
const ROW_BYTES_MAX: usize = 1 << 30;

/// Reads the rows of one COPY: bytes are pushed, batches taken.
pub struct CopyDecoder {
    columns: SchemaRef,
    format: CopyFormat,
    /// As errors name it.
    table: String,
    time_zone: TimeZone,
    shape: Shape,
    pending: Vec<u8>,
    /// Bytes of `pending` that are done with.
    taken: usize,
    /// No more bytes come.
    ended: bool,
    /// The data have said that they end here, or there are none left.
    done: bool,
    header_due: bool,
    /// Lines, or tuples, so far.
    line: u64,
    fields: Gathered,
}

enum Shape {
    Lines(Box<Lines>),
    Tuples(Tuples),
}

impl CopyDecoder {
    pub fn new(columns: SchemaRef, format: CopyFormat, table: &str, time_zone: TimeZone) -> Self {
        let shape = match format.kind {
            CopyKind::Text => Shape::Lines(Box::new(Lines::text())),
            CopyKind::Csv => Shape::Lines(Box::new(Lines::csv(format.quote, format.escape))),
            CopyKind::Binary => Shape::Tuples(Tuples::default()),
        };
        Self {
            fields: Gathered::new(columns.fields().len()),
            header_due: format.header != CopyHeader::Absent,
            columns,
            format,
            table: table.to_owned(),
            time_zone,
            shape,
            pending: vec![],
            taken: 0,
            ended: false,
            done: false,
            line: 0,
        }
    }

    /// Takes bytes as they come, cut anywhere. Batches have to be taken until there are none before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Report> {
        if self.done {
            return match self.shape {
                // What follows the end of text is nobody's.
                Shape::Lines(_) => Ok(()),
                Shape::Tuples(_) if bytes.is_empty() => Ok(()),
                Shape::Tuples(_) => Err(self.after_end()),
            };
        }
        if self.taken > 0 {
            self.pending.drain(..self.taken);
            self.taken = 0;
        }
        if self.pending.len() + bytes.len() > ROW_BYTES_MAX {
            let message = format!("a row of COPY is longer than {ROW_BYTES_MAX} bytes");
            return Err(at_line(ValueError::new(Kind::LimitExceeded, message).into(), &self.table, self.line + 1));
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Says that no more bytes come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes held for rows that haven't been taken.
    pub fn held_bytes(&self) -> usize {
        self.pending.capacity() + self.fields.held_bytes()
    }

    /// The next rows; `None` while more bytes are needed, or when there are no more rows.
    pub fn batch(&mut self) -> Result<Option<RecordBatch>, Report> {
        while !self.fields.is_full() && !self.done {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(report) => {
                    // Values before the fault are read first, as if row by row.
                    self.decode()?;
                    return Err(report);
                }
            }
        }
        let last = self.done && self.fields.rows() > 0;
        if self.fields.is_full() || last { self.decode().map(Some) } else { Ok(None) }
    }

    /// Takes a row; false when it isn't there as a whole.
    fn step(&mut self) -> Result<bool, Report> {
        match &mut self.shape {
            Shape::Lines(lines) => {
                let bytes = self.pending.get(self.taken..).unwrap_or_default();
                let cut = lines.cut(bytes, self.ended);
                match cut.map_err(|report| at_line(report, &self.table, self.line + 1))? {
                    Cut::More => return Ok(false),
                    Cut::Line { length, taken, within } => {
                        let start = self.taken;
                        self.taken += taken;
                        self.line += 1 + within;
                        self.take_line(start, length)?;
                    }
                    Cut::Last { length, within } => {
                        let start = self.taken;
                        self.done = true;
                        // A header that has to match is missed even where there is nothing.
                        if length > 0 || (self.header_due && self.format.header == CopyHeader::Match) {
                            self.line += 1 + within;
                            self.take_line(start, length)?;
                        }
                        self.pending = vec![];
                        self.taken = 0;
                    }
                }
                Ok(true)
            }
            Shape::Tuples(_) => self.take_tuple(),
        }
    }

    fn take_line(&mut self, start: usize, length: usize) -> Result<(), Report> {
        let Self { pending, fields, format, columns, table, line: number, .. } = self;
        let (table, number) = (table.as_str(), *number);
        let line = pending.get(start..start + length).unwrap_or_default();
        if let Some(report) = not_utf8(line) {
            return Err(at_line(report, table, number));
        }
        if std::mem::take(&mut self.header_due) {
            let checked = check_header(line, format, columns);
            return checked.map_err(|report| in_line(report, table, number, line));
        }
        let width = columns.fields().len();
        if width == 0 && line.is_empty() {
            fields.end_row(number);
            return Ok(());
        }
        let split = match format.kind {
            CopyKind::Csv => split::csv(line, format, fields),
            _ => split::text(line, format, fields),
        };
        let count = fields.fields();
        let split = split.and_then(|()| match count > width {
            true => Err(malformed("extra data after last expected column")),
            false => Ok(()),
        });
        if let Err(report) = split {
            fields.drop_row();
            return Err(in_line(report, table, number, line));
        }
        if let Some(missing) = columns.fields().get(count) {
            fields.end_broken_row(number);
            let report = malformed(format!("missing data for column \"{}\"", missing.name()));
            return Err(in_line(report, table, number, line));
        }
        fields.end_row(number);
        Ok(())
    }

    fn take_tuple(&mut self) -> Result<bool, Report> {
        let Shape::Tuples(tuples) = &mut self.shape else { return Ok(false) };
        let bytes = self.pending.get(self.taken..).unwrap_or_default();
        let width = self.columns.fields().len();
        let taken = tuples.take(bytes, width, self.ended, &mut self.fields);
        match taken.map_err(|report| at_line(report, &self.table, self.line + 1))? {
            Taken::More => Ok(false),
            Taken::Bytes { taken, row } => {
                self.taken += taken;
                if row {
                    self.line += 1;
                    self.fields.end_row(self.line);
                }
                Ok(true)
            }
            Taken::End { taken } => {
                self.done = true;
                if bytes.len() > taken {
                    return Err(self.after_end());
                }
                Ok(true)
            }
        }
    }

    fn after_end(&self) -> Report {
        at_line(malformed("received copy data after EOF marker"), &self.table, self.line + 1)
    }

    /// The gathered rows as a batch, or the first fault in them.
    fn decode(&mut self) -> Result<RecordBatch, Report> {
        let format = if self.format.kind == CopyKind::Binary { Format::Binary } else { Format::Text };
        let mut rows = self.fields.rows();
        let mut arrays = Vec::with_capacity(self.columns.fields().len());
        let mut first = None;
        for (column, field) in self.columns.fields().iter().enumerate() {
            let source = Source { fields: &self.fields, column, rows, format, time_zone: &self.time_zone };
            match source.array(field.data_type()) {
                Ok(array) => arrays.push(array),
                Err(bad) => {
                    // Only a row above it could have an earlier fault.
                    rows = bad.row;
                    first = Some(self.placed(bad.row, column, bad.error.into()));
                }
            }
        }
        if let Some(report) = first {
            return Err(report);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.columns), arrays, &options);
        self.fields.clear();
        batch.map_err(|error| ValueError::new(Kind::Internal, format!("internal error: {error}")).into())
    }

    fn placed(&self, row: usize, column: usize, report: Report) -> Report {
        let (line, name) = (self.fields.line(row), self.columns.field(column).name());
        match (self.format.kind, self.fields.field(row, column)) {
            (CopyKind::Binary, _) | (_, None) => at_column(report, &self.table, line, name),
            (_, Some(value)) => in_value(report, &self.table, line, name, value),
        }
    }
}

/// The line of names: skipped, or compared.
fn check_header(line: &[u8], format: &CopyFormat, columns: &SchemaRef) -> Result<(), Report> {
    if format.header != CopyHeader::Match {
        return Ok(());
    }
    let width = columns.fields().len();
    let mut names = Gathered::new(width);
    match format.kind {
        CopyKind::Csv => split::csv(line, format, &mut names)?,
        _ => split::text(line, format, &mut names)?,
    }
    let count = names.fields();
    if count != width {
        return Err(malformed(format!("wrong number of fields in header line: got {count}, expected {width}")));
    }
    for (place, field) in columns.fields().iter().enumerate() {
        let expected = field.name();
        let found = match names.field(0, place) {
            Some(name) if name == expected.as_bytes() => continue,
            Some(name) => format!("got \"{}\"", String::from_utf8_lossy(name)),
            None => format!("got null value (\"{}\")", format.null),
        };
        let message =
            format!("column name mismatch in header line field {}: {found}, expected \"{expected}\"", place + 1);
        return Err(malformed(message));
    }
    Ok(())
}
