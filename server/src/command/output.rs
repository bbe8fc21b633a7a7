//! Results as text: aligned columns, CSV, or JSON, written as they come. Values of tables and CSV are in the form that
//! they have on the wire.

use std::io::{self, Write};

use alluvia_core::Session;
use alluvia_server::protocol::cells::{Cell, cells};
use alluvia_server::protocol::encode::{self, RowEncoder};
use alluvia_server::protocol::settings::encode_options;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use bytes::BytesMut;
use clap::ValueEnum;

use super::CommandError;

/// Rows by which the widths of columns are set; later rows may stick out.
const SAMPLE_ROWS: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
}

#[derive(Debug)]
pub enum OutputError {
    Io(io::Error),
    Command(CommandError),
}

impl<E: Into<CommandError>> From<E> for OutputError {
    fn from(error: E) -> Self {
        Self::Command(error.into())
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One result on its way to standard output.
pub struct Output {
    format: Format,
    encoder: RowEncoder,
    buffer: BytesMut,
    names: Vec<String>,
    right_aligned: Vec<bool>,
    /// Rows held back until the widths are known.
    sample: Vec<Vec<Cell>>,
    /// Characters; empty until the header is written.
    widths: Vec<usize>,
    header_written: bool,
    rows: u64,
}

impl Output {
    pub fn new(schema: &Schema, format: Format, session: &Session) -> Result<Self, CommandError> {
        let formats = vec![encode::Format::Text; schema.fields().len()];
        let options = encode_options(|name| session.setting(name))?;
        Ok(Self {
            format,
            encoder: RowEncoder::new(schema, &formats, &options)?,
            buffer: BytesMut::new(),
            names: schema.fields().iter().map(|field| field.name().clone()).collect(),
            right_aligned: schema.fields().iter().map(|field| is_number(field.data_type())).collect(),
            sample: vec![],
            widths: vec![],
            header_written: false,
            rows: 0,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch, to: &mut impl Write) -> Result<(), OutputError> {
        self.rows += batch.num_rows() as u64;
        if self.format == Format::Json {
            return write_json(batch, to);
        }
        let mut from = 0;
        while from < batch.num_rows() {
            let end = (from + SAMPLE_ROWS).min(batch.num_rows());
            self.buffer.clear();
            self.encoder.encode(batch, from..end, &mut self.buffer)?;
            let rows: Vec<Vec<Cell>> = cells(&self.buffer)?;
            match self.format {
                Format::Csv => self.write_csv(&rows, to)?,
                Format::Table if self.header_written => self.write_rows(&rows, to)?,
                _ => self.sample.extend(rows),
            }
            if self.sample.len() >= SAMPLE_ROWS {
                self.write_sample(to)?;
            }
            from = end;
        }
        Ok(())
    }

    pub fn finish(&mut self, to: &mut impl Write) -> Result<(), OutputError> {
        match self.format {
            Format::Json => Ok(()),
            Format::Csv => self.write_csv(&[], to),
            Format::Table => {
                self.write_sample(to)?;
                let rows = if self.rows == 1 { "row" } else { "rows" };
                Ok(writeln!(to, "({} {rows})\n", self.rows)?)
            }
        }
    }

    /// Header and the rows held back, once.
    fn write_sample(&mut self, to: &mut impl Write) -> Result<(), OutputError> {
        if self.header_written {
            return Ok(());
        }
        self.header_written = true;
        let rows = std::mem::take(&mut self.sample);
        self.widths = self.names.iter().map(|name| characters(name)).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.iter().flat_map(|text| text.lines()).map(characters).fold(*width, usize::max);
            }
        }
        let header: Vec<String> =
            self.names.iter().zip(&self.widths).map(|(name, width)| centred(name, *width)).collect();
        writeln!(to, "{}", header.join("|"))?;
        let rules: Vec<String> = self.widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(to, "{}", rules.join("+"))?;
        self.write_rows(&rows, to)
    }

    fn write_rows(&self, rows: &[Vec<Cell>], to: &mut impl Write) -> Result<(), OutputError> {
        for row in rows {
            let columns: Vec<Vec<&str>> =
                row.iter().map(|cell| cell.as_deref().map_or(vec![], |text| text.split('\n').collect())).collect();
            let height = columns.iter().map(Vec::len).max().unwrap_or(0).max(1);
            for line in 0..height {
                self.write_line(&columns, line, to)?;
            }
        }
        Ok(())
    }

    /// One line of a row; a value with line breaks goes on in the next with a `+` behind it, as psql writes it.
    fn write_line(&self, columns: &[Vec<&str>], line: usize, to: &mut impl Write) -> io::Result<()> {
        for (at, lines) in columns.iter().enumerate() {
            let text = lines.get(line).copied().unwrap_or("");
            let goes_on = line + 1 < lines.len();
            let padding = " ".repeat(self.widths.get(at).map_or(0, |width| width.saturating_sub(characters(text))));
            let right = self.right_aligned.get(at).copied().unwrap_or(false);
            let (before, after) = if right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            let last = at + 1 == columns.len();
            let after = if last && !goes_on { "" } else { after };
            let separator = if last { "" } else { "|" };
            let end = match (goes_on, last) {
                (true, _) => "+",
                (false, true) => "",
                (false, false) => " ",
            };
            write!(to, " {before}{text}{after}{end}{separator}")?;
        }
        writeln!(to)
    }

    fn write_csv(&mut self, rows: &[Vec<Cell>], to: &mut impl Write) -> Result<(), OutputError> {
        if !self.header_written {
            self.header_written = true;
            let names: Vec<String> = self.names.iter().map(|name| csv(Some(name))).collect();
            writeln!(to, "{}", names.join(","))?;
        }
        for row in rows {
            let fields: Vec<String> = row.iter().map(|cell| csv(cell.as_deref())).collect();
            writeln!(to, "{}", fields.join(","))?;
        }
        Ok(())
    }
}

/// One object per line; NULLs are written.
fn write_json(batch: &RecordBatch, to: &mut impl Write) -> Result<(), OutputError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(to);
    let written = writer.write(batch).and_then(|()| writer.finish());
    written.map_err(|error| match error {
        arrow::error::ArrowError::IoError(_, error) => OutputError::Io(error),
        error => OutputError::Command(CommandError::failed(format!("could not write the result as JSON: {error}"))),
    })
}

/// NULL is empty, an empty string is `""`, as in PostgreSQL's CSV.
fn csv(cell: Option<&str>) -> String {
    match cell {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_string(),
    }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

fn centred(text: &str, width: usize) -> String {
    let space = width.saturating_sub(characters(text));
    format!(" {}{text}{} ", " ".repeat(space / 2), " ".repeat(space - space / 2))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_tells_null_from_empty() {
        let fields = [csv(None), csv(Some("")), csv(Some("a\"b")), csv(Some("a,b")), csv(Some("plain"))];
        assert_eq!(fields.join(";"), ";\"\";\"a\"\"b\";\"a,b\";plain");
    }
}
