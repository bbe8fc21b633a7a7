//! Fields of rows that wait to be decoded: their bytes in one piece, row after row.

/// Rows and bytes of fields that are decoded at once.
const ROWS_MAX: usize = 8_192;
const BYTES_MAX: usize = 4 << 20;

#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    /// `None` is NULL.
    length: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Gathered {
    width: usize,
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// The line, or tuple, of each row.
    lines: Vec<u64>,
    /// Where the field that is being written begins.
    open: usize,
}

impl Gathered {
    pub fn new(width: usize) -> Self {
        Self { width, bytes: vec![], places: vec![], lines: vec![], open: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.lines.len() >= ROWS_MAX || self.bytes.len() >= BYTES_MAX
    }

    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place>() + self.lines.capacity() * 8
    }

    /// The line of a row.
    pub fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default()
    }

    /// A field; `None` is NULL.
    #[inline]
    pub fn field(&self, row: usize, column: usize) -> Option<&[u8]> {
        let place = self.places.get(row * self.width + column)?;
        self.bytes.get(place.start..place.start + place.length?)
    }

    /// Bytes of the field that is being written.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What the field that is being written has so far.
    pub fn written(&self) -> &[u8] {
        self.bytes.get(self.open..).unwrap_or_default()
    }

    #[inline]
    pub fn end_field(&mut self) {
        let length = Some(self.bytes.len() - self.open);
        self.places.push(Place { start: self.open, length });
        self.open = self.bytes.len();
    }

    #[inline]
    pub fn end_null(&mut self) {
        self.bytes.truncate(self.open);
        self.places.push(Place { start: self.open, length: None });
    }

    /// Fields of the row that is being written.
    pub fn fields(&self) -> usize {
        self.places.len() - self.lines.len() * self.width
    }

    /// Ends a row of the full width.
    pub fn end_row(&mut self, line: u64) {
        self.lines.push(line);
    }

    /// Forgets the row that is being written.
    pub fn drop_row(&mut self) {
        self.places.truncate(self.lines.len() * self.width);
        self.open = self.bytes.len();
    }

    /// Ends a row that broke off; what is missing reads as NULL.
    pub fn end_broken_row(&mut self, line: u64) {
        self.places.truncate((self.lines.len() + 1) * self.width);
        while self.fields() < self.width {
            self.end_null();
        }
        self.end_row(line);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.lines.clear();
        self.open = 0;
        if self.bytes.capacity() > 2 * BYTES_MAX {
            self.bytes = vec![];
        }
    }
}
