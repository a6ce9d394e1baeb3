//! Reading and writing the columns of a batch.

use crate::guest::Column;

/// The value of event `index`.
pub(crate) fn value(column: &Column, index: usize) -> &[u8] {
    if column.ends.is_empty() {
        return &column.bytes;
    }
    let start = if index == 0 {
        0
    } else {
        column.ends[index - 1] as usize
    };
    &column.bytes[start..column.ends[index] as usize]
}

/// The value of event `index` as text. The hub sends nothing but UTF-8 here.
pub(crate) fn text(column: &Column, index: usize) -> &str {
    std::str::from_utf8(value(column, index)).unwrap_or_default()
}

/// Collects the values of one column; stays one value as long as all are alike.
#[derive(Default)]
pub(crate) struct ColumnBuilder {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    count: usize,
    varied: bool,
}

impl ColumnBuilder {
    pub(crate) fn with_capacity(values: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(values),
            count: 0,
            varied: false,
        }
    }

    /// Most attributes are set by no output at all: that costs no call.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: &[u8]) {
        if value.is_empty() && self.bytes.is_empty() && !self.varied {
            self.count += 1;
        } else {
            self.push_value(value);
        }
    }

    fn push_value(&mut self, value: &[u8]) {
        if !self.varied {
            if self.count == 0 {
                self.bytes.extend_from_slice(value);
                self.count = 1;
                return;
            }
            if alike(&self.bytes, value) {
                self.count += 1;
                return;
            }
            self.vary();
        }
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as u32);
        self.count += 1;
    }

    #[cold]
    fn vary(&mut self) {
        self.varied = true;
        let length = self.bytes.len();
        if self.count > 0 {
            self.ends.push(length as u32);
        }
        for _ in 1..self.count {
            self.bytes.extend_from_within(..length);
            self.ends.push(self.bytes.len() as u32);
        }
    }

    pub(crate) fn finish(self) -> Column {
        Column {
            bytes: self.bytes,
            ends: self.ends,
        }
    }
}

/// Whether two values are the same. Most values are set by one line of the plugin or not at all: short,
/// and compared for every output. The target's `memcmp` goes byte by byte.
#[inline]
fn alike(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (ones, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest = ones.remainder().iter().zip(others.remainder());
    let mut differ = rest.fold(0, |differ, (one, other)| differ | (one ^ other));
    for (one, other) in ones.zip(others) {
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        differ |= u8::from(number(one) != number(other));
    }
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(values: &[&str]) -> Column {
        let mut builder = ColumnBuilder::default();
        for value in values {
            builder.push(value.as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn values_come_back_whether_alike_or_not() {
        for values in [
            &["a", "a", "b", "", "a"][..],
            &["", "", "x"],
            &["x", "x", "x"],
            &["", ""],
            &["one"],
            &["", "x", "", ""],
        ] {
            let column = built(values);
            for (index, value) in values.iter().enumerate() {
                assert_eq!(text(&column, index), *value, "{values:?} at {index}");
            }
        }
    }

    #[test]
    fn values_that_are_all_alike_take_the_room_of_one() {
        let column = built(&["x", "x", "x"]);
        assert_eq!((column.bytes.as_slice(), column.ends.len()), (&b"x"[..], 0));
    }
}
