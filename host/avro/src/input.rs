//! Avro's binary form, read from the front, believing nothing.

use crate::fault::{Fault, fault};

/// Containers within containers: what JSON parsers take, with room for what an event is wrapped in.
pub(crate) const DEEPEST: usize = 120;

/// So many values may come without bytes of their own.
const FREE_VALUES: usize = 65_536;
const VALUES_PER_BYTE: usize = 4;

/// How many values data of so many bytes may have.
pub(crate) fn values(bytes: usize) -> usize {
    FREE_VALUES.saturating_add(bytes.saturating_mul(VALUES_PER_BYTE))
}

#[derive(Clone)]
pub(crate) struct Input<'a> {
    left: &'a [u8],
    /// How many more values there may be: nulls, empty records and fixed of size 0 take no bytes, so
    /// the length of the data does not bound them.
    values: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            left: data,
            values: values(data.len()),
        }
    }

    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// One more value.
    pub(crate) fn count(&mut self) -> Result<(), Fault> {
        self.values = self
            .values
            .checked_sub(1)
            .ok_or_else(|| fault("the data has far more values than bytes"))?;
        Ok(())
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, left) = self.left.split_at_checked(length).ok_or_else(|| {
            fault(format!(
                "{length} bytes are needed and {} are left",
                self.left.len()
            ))
        })?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| fault("the data ends early"))
    }

    fn variable(&mut self, most: usize) -> Result<u64, Fault> {
        let mut number = 0u64;
        for (index, &byte) in self.left.iter().take(most).enumerate() {
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * u32::try_from(index).unwrap_or_default();
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(fault("the integer has more than 64 bits"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                self.left = &self.left[index + 1..];
                return Ok(number);
            }
        }
        Err(fault(if self.left.len() < most {
            "the data ends within an integer".to_owned()
        } else {
            format!("the integer goes on after {most} bytes")
        }))
    }

    pub(crate) fn long(&mut self) -> Result<i64, Fault> {
        Ok(unzigzag(self.variable(10)?))
    }

    pub(crate) fn int(&mut self) -> Result<i32, Fault> {
        i32::try_from(unzigzag(self.variable(5)?))
            .map_err(|_| fault("the integer has more than 32 bits"))
    }

    /// The bytes of a string or of bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.long()?;
        let length = usize::try_from(length)
            .map_err(|_| fault(format!("a length of {length} is not possible")))?;
        self.take(length)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Fault> {
        let bytes = self.bytes()?;
        str::from_utf8(bytes).map_err(|error| {
            fault(format!(
                "the string is not UTF-8 at byte {}",
                error.valid_up_to()
            ))
        })
    }

    /// The place of something in a list of so many.
    pub(crate) fn index(&mut self, count: usize, what: &str) -> Result<usize, Fault> {
        let index = self.int()?;
        usize::try_from(index)
            .ok()
            .filter(|&index| index < count)
            .ok_or_else(|| fault(format!("there is no {what} {index}; there are {count}")))
    }

    /// Begins a block of an array or map. None: there is no more.
    pub(crate) fn block(&mut self) -> Result<Option<Block>, Fault> {
        let count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        let mut end = None;
        if count < 0 {
            let size = self.long()?;
            let size = usize::try_from(size)
                .ok()
                .filter(|&size| size <= self.left.len())
                .ok_or_else(|| {
                    fault(format!(
                        "a block says that it has {size} bytes, and {} are left",
                        self.left.len()
                    ))
                })?;
            end = Some(self.left.len() - size);
        }
        let items = count.unsigned_abs();
        // Each item is a value at least.
        let items = usize::try_from(items)
            .ok()
            .filter(|&items| items <= self.values)
            .ok_or_else(|| {
                fault(format!(
                    "a block says that it has {items} items, far more than there are bytes"
                ))
            })?;
        Ok(Some(Block { items, end }))
    }

    /// Ends a block: those who skip it by its size must come to the same place.
    pub(crate) fn end(&self, block: &Block) -> Result<(), Fault> {
        match block.end {
            Some(end) if end != self.left.len() => Err(fault("a block is not as long as it says")),
            _ => Ok(()),
        }
    }
}

pub(crate) struct Block {
    pub items: usize,
    /// How much is left behind it, where it says.
    end: Option<usize>,
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
