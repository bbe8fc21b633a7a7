//! Rows into bytes.

use alluvia_core::{CopyFormat, CopyHeader, CopyKind};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};

use super::SIGNATURE;
use crate::protocol::encode::{BoundRows, EncodeOptions, Format, RowEncoder};
use crate::protocol::error::Result;

/// Writes the rows of one COPY. Each call appends what PostgreSQL puts into one message.
pub struct CopyEncoder {
    rows: RowEncoder,
    format: CopyFormat,
    names: Vec<String>,
    /// Bytes with a meaning of their own in the text form.
    special: [bool; 256],
    scratch: BytesMut,
    begun: bool,
}

impl CopyEncoder {
    pub fn new(schema: &Schema, format: CopyFormat, options: &EncodeOptions) -> Result<Self> {
        let kind = if format.kind == CopyKind::Binary { Format::Binary } else { Format::Text };
        let formats = vec![kind; schema.fields().len()];
        let mut special = [false; 256];
        for byte in *b"\x08\x0c\n\r\t\x0b\\" {
            special[usize::from(byte)] = true;
        }
        special[usize::from(format.delimiter)] = true;
        Ok(Self {
            rows: RowEncoder::new(schema, &formats, options)?,
            names: schema.fields().iter().map(|field| field.name().clone()).collect(),
            format,
            special,
            scratch: BytesMut::new(),
            begun: false,
        })
    }

    pub fn bind(&self, batch: &RecordBatch) -> Result<BoundRows> {
        self.rows.bind(batch)
    }

    /// The line of names, if there is one.
    pub fn header(&mut self, out: &mut BytesMut) -> bool {
        if self.format.header == CopyHeader::Absent {
            return false;
        }
        let single = self.names.len() == 1;
        for (place, name) in self.names.iter().enumerate() {
            if place > 0 {
                out.put_u8(self.format.delimiter);
            }
            match self.format.kind {
                CopyKind::Csv => put_csv(name.as_bytes(), &self.format, false, single, out),
                _ => put_text(name.as_bytes(), &self.special, out),
            }
        }
        out.put_u8(b'\n');
        true
    }

    pub fn row(&mut self, batch: &BoundRows, row: usize, out: &mut BytesMut) -> Result<()> {
        match self.format.kind {
            CopyKind::Binary => self.tuple(batch, row, out),
            CopyKind::Text | CopyKind::Csv => self.line(batch, row, out),
        }
    }

    /// What ends the rows, if anything does.
    pub fn trailer(&mut self, out: &mut BytesMut) -> bool {
        if self.format.kind != CopyKind::Binary {
            return false;
        }
        self.begin(out);
        out.put_i16(-1);
        true
    }

    /// The header of the binary form travels with what comes first: drivers read it there.
    fn begin(&mut self, out: &mut BytesMut) {
        if !self.begun {
            self.begun = true;
            out.put_slice(SIGNATURE);
            out.put_u64(0);
        }
    }

    fn tuple(&mut self, batch: &BoundRows, row: usize, out: &mut BytesMut) -> Result<()> {
        self.begin(out);
        let [high, low] = (batch.columns().len() as u16).to_be_bytes();
        out.put_slice(&[high, low]);
        for column in batch.columns() {
            column.write_field(row, out)?;
        }
        Ok(())
    }

    fn line(&mut self, batch: &BoundRows, row: usize, out: &mut BytesMut) -> Result<()> {
        let columns = batch.columns();
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                out.put_u8(self.format.delimiter);
            }
            if column.is_null(row) {
                out.put_slice(self.format.null.as_bytes());
                continue;
            }
            self.scratch.clear();
            column.write(row, &mut self.scratch)?;
            if self.format.kind == CopyKind::Csv {
                let forced = self.format.force_quote.get(place).copied().unwrap_or_default();
                put_csv(&self.scratch, &self.format, forced, columns.len() == 1, out);
            } else {
                put_text(&self.scratch, &self.special, out);
            }
        }
        out.put_u8(b'\n');
        Ok(())
    }
}

/// With a backslash before what would be read as something else.
fn put_text(value: &[u8], special: &[bool; 256], out: &mut BytesMut) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| special[usize::from(*byte)]) {
        let (plain, from) = rest.split_at(at);
        out.put_slice(plain);
        let Some((byte, after)) = from.split_first() else { return };
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            other => *other,
        };
        out.put_slice(&[b'\\', letter]);
        rest = after;
    }
    out.put_slice(rest);
}

/// `single`: the field is its line, where `\.` would end the data.
fn put_csv(value: &[u8], format: &CopyFormat, forced: bool, single: bool, out: &mut BytesMut) {
    let special = |byte: &u8| *byte == format.delimiter || *byte == format.quote || matches!(byte, b'\n' | b'\r');
    let quoted = forced || value == format.null.as_bytes() || (single && value == b"\\.") || value.iter().any(special);
    if !quoted {
        out.put_slice(value);
        return;
    }
    out.put_u8(format.quote);
    for byte in value {
        if *byte == format.quote || *byte == format.escape {
            out.put_u8(format.escape);
        }
        out.put_u8(*byte);
    }
    out.put_u8(format.quote);
}
