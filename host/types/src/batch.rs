//! A batch of events laid out in columns: one byte range per attribute, with the ends of its
//! values. It is the body of a log frame, what crosses the boundary into a column plugin, and what
//! comes back; going from one to the other copies ranges and parses nothing.
//!
//! # Format, version 1 (little-endian)
//! ```text
//! u8   version = 1
//! u32  count
//! then nine columns in this order: id, source, type, subject, time, datacontenttype, dataschema,
//! extensions, data; each:
//!   u8  kind   0 empty: every value is empty; nothing follows
//!              1 same: every value is the same; u32 length, bytes
//!              2 each: u32 total length, count × u32 end, bytes
//! ```
//! `end` is where a value stops, counted from the column's first byte; a value starts where the one
//! before it stops. All columns but `data` are UTF-8. A batch of more than `u32::MAX` bytes in one
//! column cannot be written.

use bytes::Bytes;

use crate::{Event, EventRef};

const VERSION: u8 = 1;
const COLUMNS: usize = 9;
const DATA: usize = 8;

/// The names of the columns, in their order on disk.
pub const COLUMN_NAMES: [&str; COLUMNS] = [
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "extensions",
    "data",
];

/// Why bytes are not a batch. Never seen on bytes that passed the log's CRC, unless another
/// version wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("batch format version {0} is not known to this version of sandbar")]
    Version(u8),
    #[error("the batch ends in the middle of {0}")]
    Short(&'static str),
    #[error("column {column} has kind {kind}, which is not known")]
    Kind { column: &'static str, kind: u8 },
    #[error("column {0} has ends that go backwards or past its bytes")]
    Ends(&'static str),
    #[error("column {0} is not UTF-8")]
    Utf8(&'static str),
    #[error("{0} bytes follow the last column")]
    Trailing(usize),
}

/// The values of one attribute over a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// Every value is empty.
    Empty,
    /// Every value is this one.
    Same(Bytes),
    /// One value per event, end to end; `ends` has one entry per event.
    Each { bytes: Bytes, ends: Vec<u32> },
}

impl Column {
    /// The value of event `index`. Panics when `index` is past the batch's count on an
    /// [`Column::Each`].
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Same(value) => value,
            Self::Each { bytes, ends } => {
                let start = if index == 0 {
                    0
                } else {
                    ends[index - 1] as usize
                };
                &bytes[start..ends[index] as usize]
            }
        }
    }

    fn text(&self, index: usize) -> &str {
        // Checked to be UTF-8 with boundaries at every end when the batch was made.
        std::str::from_utf8(self.get(index)).unwrap_or_default()
    }

    fn valid_text(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Same(value) => std::str::from_utf8(value).is_ok(),
            Self::Each { bytes, ends } => std::str::from_utf8(bytes)
                .is_ok_and(|text| ends.iter().all(|&end| text.is_char_boundary(end as usize))),
        }
    }

    /// The column of the events `from..to`.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Same(value) => Self::Same(value.clone()),
            Self::Each { bytes, ends } => {
                if from == to {
                    return Self::Empty;
                }
                let start = if from == 0 { 0 } else { ends[from - 1] };
                let stop = ends[to - 1];
                Self::Each {
                    bytes: bytes.slice(start as usize..stop as usize),
                    ends: ends[from..to].iter().map(|end| end - start).collect(),
                }
            }
        }
    }

    /// With bytes of its own.
    fn detached(self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Same(value) => Self::Same(Bytes::copy_from_slice(&value)),
            Self::Each { bytes, ends } => Self::Each {
                bytes: Bytes::copy_from_slice(&bytes),
                ends,
            },
        }
    }

    fn byte_length(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Same(value) => value.len(),
            Self::Each { bytes, ends } => bytes.len() + ends.len() * 4,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.push(0),
            Self::Same(value) => {
                out.push(1);
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
            Self::Each { bytes, ends } => {
                out.push(2);
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                for end in ends {
                    out.extend_from_slice(&end.to_le_bytes());
                }
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// Events in columns. Cheap to clone and to slice: the bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    count: usize,
    columns: [Column; COLUMNS],
}

impl Batch {
    /// A batch of no events.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            count: 0,
            columns: std::array::from_fn(|_| Column::Empty),
        }
    }

    /// Puts columns together, in the order of [`COLUMN_NAMES`].
    ///
    /// # Errors
    /// When a column's ends do not fit `count` and its bytes, or a text column is not UTF-8.
    pub fn from_columns(count: usize, columns: [Column; COLUMNS]) -> Result<Self, DecodeError> {
        for (index, column) in columns.iter().enumerate() {
            let name = COLUMN_NAMES[index];
            if let Column::Each { bytes, ends } = column {
                let ordered = ends.windows(2).all(|pair| pair[0] <= pair[1]);
                let closed = ends.last().map_or(0, |&end| end as usize) == bytes.len();
                if ends.len() != count || !ordered || !closed {
                    return Err(DecodeError::Ends(name));
                }
            }
            if index != DATA && !column.valid_text() {
                return Err(DecodeError::Utf8(name));
            }
        }
        Ok(Self { count, columns })
    }

    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns, in the order of [`COLUMN_NAMES`].
    #[must_use]
    pub fn columns(&self) -> &[Column; COLUMNS] {
        &self.columns
    }

    /// Event `index`. Panics when it is past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> EventRef<'_> {
        assert!(index < self.count, "event {index} of {}", self.count);
        let text = |column: usize| self.columns[column].text(index);
        EventRef {
            id: text(0),
            source: text(1),
            r#type: text(2),
            subject: text(3),
            time: text(4),
            datacontenttype: text(5),
            dataschema: text(6),
            extensions: text(7),
            data: self.columns[DATA].get(index),
        }
    }

    /// The payload of event `index` without copying it.
    #[must_use]
    pub fn data(&self, index: usize) -> Bytes {
        match &self.columns[DATA] {
            Column::Empty => Bytes::new(),
            Column::Same(value) => value.clone(),
            Column::Each { bytes, ends } => {
                let start = if index == 0 {
                    0
                } else {
                    ends[index - 1] as usize
                };
                bytes.slice(start..ends[index] as usize)
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = EventRef<'_>> {
        (0..self.count).map(|index| self.get(index))
    }

    /// The events `from..to`, sharing the bytes.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        assert!(
            from <= to && to <= self.count,
            "{from}..{to} of {}",
            self.count
        );
        Self {
            count: to - from,
            columns: std::array::from_fn(|index| self.columns[index].slice(from, to)),
        }
    }

    /// Copies of these events, in this order, which keep nothing else of the batch in memory. Panics
    /// when one is past the end.
    #[must_use]
    pub fn copy(&self, indexes: &[usize]) -> Self {
        let (Some(&first), Some(&last)) = (indexes.first(), indexes.last()) else {
            return Self::empty();
        };
        if indexes.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
            let part = self.slice(first, last + 1);
            return Self {
                count: part.count,
                columns: part.columns.map(Column::detached),
            };
        }
        let bytes = indexes.iter().map(|&at| self.columns[DATA].get(at).len());
        let mut builder = BatchBuilder::with_capacity(indexes.len(), bytes.sum());
        for &index in indexes {
            builder.push(self.get(index));
        }
        builder.finish()
    }

    /// All events of several batches, end to end.
    #[must_use]
    pub fn concat(batches: &[Self]) -> Self {
        match batches {
            [] => Self::empty(),
            [one] => one.clone(),
            many => {
                let mut builder = BatchBuilder::with_capacity(
                    many.iter().map(Self::len).sum(),
                    many.iter()
                        .map(|batch| batch.columns[DATA].byte_length())
                        .sum(),
                );
                for event in many.iter().flat_map(Self::iter) {
                    builder.push(event);
                }
                builder.finish()
            }
        }
    }

    /// About how many bytes the encoded form has.
    #[must_use]
    pub fn byte_length(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::byte_length).sum();
        columns + COLUMNS * 5 + 5
    }

    /// The bytes of the format at the head of this module.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.byte_length());
        out.push(VERSION);
        out.extend_from_slice(&(self.count as u32).to_le_bytes());
        for column in &self.columns {
            column.write(&mut out);
        }
        out
    }

    /// Reads the format at the head of this module; the columns share `bytes`.
    ///
    /// # Errors
    /// When the bytes are not such a batch.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader { bytes, at: 0 };
        let version = reader.u8("version")?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let count = reader.u32("count")? as usize;
        let mut columns: [Column; COLUMNS] = std::array::from_fn(|_| Column::Empty);
        for (index, column) in columns.iter_mut().enumerate() {
            let name = COLUMN_NAMES[index];
            *column = match reader.u8(name)? {
                0 => Column::Empty,
                1 => {
                    let length = reader.u32(name)? as usize;
                    Column::Same(reader.take(length, name)?)
                }
                2 => {
                    let length = reader.u32(name)? as usize;
                    let raw =
                        reader.take(count.checked_mul(4).ok_or(DecodeError::Short(name))?, name)?;
                    let ends = raw
                        .chunks_exact(4)
                        .map(|end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]))
                        .collect();
                    Column::Each {
                        bytes: reader.take(length, name)?,
                        ends,
                    }
                }
                kind => return Err(DecodeError::Kind { column: name, kind }),
            };
        }
        let trailing = bytes.len() - reader.at;
        if trailing != 0 {
            return Err(DecodeError::Trailing(trailing));
        }
        Self::from_columns(count, columns)
    }
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<Bytes, DecodeError> {
        let end = self
            .at
            .checked_add(length)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(DecodeError::Short(what))?;
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(1, what)?[0])
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        let raw = self.take(4, what)?;
        Ok(u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }
}

/// Collects the values of one column. Stays [`Column::Same`] as long as all values are alike.
#[derive(Clone, Debug, Default)]
pub struct ColumnBuilder {
    count: usize,
    bytes: Vec<u8>,
    /// Filled from the second different value on.
    ends: Vec<u32>,
    varied: bool,
}

impl ColumnBuilder {
    pub fn push(&mut self, value: &[u8]) {
        if !self.varied {
            if self.count == 0 {
                self.bytes.extend_from_slice(value);
            } else if !alike(&self.bytes, value) {
                self.varied = true;
                let one = self.bytes.clone();
                self.ends.reserve(self.count + 1);
                self.ends.push(one.len() as u32);
                for _ in 1..self.count {
                    self.bytes.extend_from_slice(&one);
                    self.ends.push(self.bytes.len() as u32);
                }
            }
        }
        if self.varied {
            self.bytes.extend_from_slice(value);
            self.ends.push(self.bytes.len() as u32);
        }
        self.count += 1;
    }

    #[must_use]
    pub fn finish(self) -> Column {
        if self.varied {
            Column::Each {
                bytes: self.bytes.into(),
                ends: self.ends,
            }
        } else if self.bytes.is_empty() {
            Column::Empty
        } else {
            Column::Same(self.bytes.into())
        }
    }
}

/// Two empty values are not compared as bytes: an empty `Vec` points nowhere, and with AVX-512 a
/// `memcmp` of no bytes at an address without a page takes a hundred nanoseconds.
#[inline]
fn alike(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && (left.is_empty() || left == right)
}

/// Collects events into a [`Batch`].
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    count: usize,
    columns: [ColumnBuilder; COLUMNS],
}

impl BatchBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `events` events with `data` bytes of payload in all.
    #[must_use]
    pub fn with_capacity(events: usize, data: usize) -> Self {
        let mut builder = Self::default();
        builder.columns[DATA].bytes.reserve(data);
        builder.columns[DATA].ends.reserve(events);
        builder
    }

    pub fn push(&mut self, event: EventRef<'_>) {
        let texts = [
            event.id,
            event.source,
            event.r#type,
            event.subject,
            event.time,
            event.datacontenttype,
            event.dataschema,
            event.extensions,
        ];
        for (column, text) in self.columns.iter_mut().zip(texts) {
            column.push(text.as_bytes());
        }
        self.columns[DATA].push(event.data);
        self.count += 1;
    }

    pub fn push_event(&mut self, event: &Event) {
        let extensions = event.extensions_json();
        self.push(EventRef {
            extensions: &extensions,
            ..event.payload()
        });
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub fn finish(self) -> Batch {
        Batch {
            count: self.count,
            columns: self.columns.map(ColumnBuilder::finish),
        }
    }
}

#[cfg(test)]
mod tests;
