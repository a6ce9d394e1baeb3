//! Records in a guest's memory, as the canonical ABI lays them out: texts go in as the bytes that they
//! are, and answers are read straight into columns. The derives would check and copy each text, and
//! allocate for each output.
//!
//! # Layout of an answer (WIT in `wit/transform.wit`; little-endian, places in bytes)
//! ```text
//! list      0 address, 4 length
//! option    0 u8: 1 is some, 4 the value
//! verdict   0 u8 case, 4 the case's value; 16 in all
//!             0 emit: list of outputs; 1 drop, 3 retry: text; 2 reject: problem
//! problem   0 u8 case, 4 text
//! output    0 target, 12 id, 24 source, 36 type, 48 subject, 60 time, 72 datacontenttype,
//!           84 dataschema (options of texts), 96 list of extensions, 104 data (option of a list); 116 in all
//! extension 0 name, 8 value (texts); 16 in all
//! ```

use std::mem::MaybeUninit;

use sandbar_types::ColumnBuilder;
use wasmtime::{
    Result, ValRaw, bail,
    component::{
        __internal::{
            InterfaceType, LiftContext, LowerContext, wasmtime_environ::component::StringEncoding,
        },
        Lift, Lower,
    },
};

use super::{extensions, into_columns, lifted};
use crate::{
    abi::known_as,
    resolve::{Kind, REMOVED, Raw},
};

const VERDICT: usize = 16;
const OUTPUT: usize = 116;
const EXTENSION: usize = 16;
const ALIGNMENT: usize = 4;
/// Where an output's options of texts begin: its target, then the columns' in their order.
const OPTION: usize = 12;
const EXTENSIONS: usize = 96;
const DATA: usize = 104;

/// A text for the guest. It is UTF-8: batches are checked when they are made.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(super) &'a [u8]);

impl Text<'_> {
    fn as_str(&self) -> &str {
        std::str::from_utf8(self.0).unwrap_or_default()
    }
}

known_as!(Text<'_>, str);

// SAFETY: as a text is lowered: an address and a length, of bytes in room that the guest gave.
// Whatever it gave, `realloc` has checked that it lies inside of the memory, and slices check again.
#[allow(unsafe_code)]
unsafe impl Lower for Text<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        self.as_str().linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        if !is_utf8(cx.options().string_encoding) {
            return self.as_str().linear_lower_to_memory(cx, ty, offset);
        }
        let length = self.0.len();
        let at = cx.realloc(0, 0, 1, length)?;
        cx.as_slice_mut()[at..at + length].copy_from_slice(self.0);
        // A memory of 32 bits: neither number is more.
        *cx.get(offset) = (at as u32).to_le_bytes();
        *cx.get(offset + 4) = (length as u32).to_le_bytes();
        Ok(())
    }
}

fn is_utf8(encoding: StringEncoding) -> bool {
    encoding == StringEncoding::Utf8
}

/// The answer to a batch.
pub(crate) struct Verdicts(pub(super) Raw);

type List = Vec<lifted::Verdict>;

known_as!(Verdicts, List);

// SAFETY: reads the guest's memory by slices that check their bounds, and makes nothing of it but
// numbers and copies.
#[allow(unsafe_code)]
unsafe impl Lift for Verdicts {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; 2],
    ) -> Result<Self> {
        let list = List::linear_lift_from_flat(cx, ty, src)?;
        Ok(Self(into_columns(&list)))
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        if !is_utf8(cx.options().string_encoding) {
            let list = List::linear_lift_from_memory(cx, ty, bytes)?;
            return Ok(Self(into_columns(&list)));
        }
        let mut answer = Answer::default();
        let verdicts = list(cx, bytes, VERDICT)?;
        answer.kinds.reserve(verdicts.len() / VERDICT);
        answer.counts.reserve(verdicts.len() / VERDICT);
        for verdict in verdicts.chunks_exact(VERDICT) {
            answer.verdict(cx, verdict)?;
        }
        Ok(Self(answer.finish()))
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    u32::from_le_bytes(word) as usize
}

/// The bytes of a list whose address and length stand at the head of `pair`. Counts what it reads, so
/// that what is told twice is paid for twice.
fn list<'a>(cx: &mut LiftContext<'a>, pair: &[u8], size: usize) -> Result<&'a [u8]> {
    let (address, length) = (word(pair, 0), word(pair, 4));
    // Neither has more than 32 bits, so nothing overflows.
    let bytes = cx.memory().get(address..address + length * size);
    let Some(bytes) = bytes else {
        bail!("a list or text is out of bounds of the memory");
    };
    if size > 1 && address % ALIGNMENT != 0 {
        bail!("a list is not aligned");
    }
    cx.consume_fuel(bytes.len())?;
    Ok(bytes)
}

fn text<'a>(cx: &mut LiftContext<'a>, pair: &[u8]) -> Result<&'a [u8]> {
    list(cx, pair, 1)
}

fn option<'a>(cx: &mut LiftContext<'a>, option: &[u8]) -> Result<Option<&'a [u8]>> {
    match option[0] {
        0 => Ok(None),
        1 => list(cx, &option[4..], 1).map(Some),
        other => bail!("an option has the case {other}"),
    }
}

#[derive(Default)]
struct Answer {
    kinds: Vec<Kind>,
    counts: Vec<u32>,
    reasons: ColumnBuilder,
    columns: [ColumnBuilder; 9],
    targets: ColumnBuilder,
    has_data: Vec<u8>,
}

impl Answer {
    fn verdict(&mut self, cx: &mut LiftContext<'_>, verdict: &[u8]) -> Result<()> {
        let value = &verdict[4..];
        let kind = match verdict[0] {
            0 => {
                let outputs = list(cx, value, OUTPUT)?;
                for output in outputs.chunks_exact(OUTPUT) {
                    self.output(cx, output)?;
                }
                self.reasons.push(b"");
                self.kinds.push(Kind::Emit);
                self.counts
                    .push(u32::try_from(outputs.len() / OUTPUT).unwrap_or(u32::MAX));
                return Ok(());
            }
            1 => Kind::Drop,
            2 => Kind::Reject,
            3 => Kind::Retry,
            other => bail!("a verdict has the case {other}"),
        };
        if kind == Kind::Reject {
            let case = match value[0] {
                0 => "invalid-config: ",
                1 => "invalid-event: ",
                2 => "other: ",
                other => bail!("a problem has the case {other}"),
            };
            let reason = text(cx, &value[4..])?;
            self.reasons.push(&[case.as_bytes(), reason].concat());
        } else {
            self.reasons.push(text(cx, value)?);
        }
        self.kinds.push(kind);
        self.counts.push(0);
        Ok(())
    }

    fn output(&mut self, cx: &mut LiftContext<'_>, output: &[u8]) -> Result<()> {
        let target = option(cx, output)?;
        self.targets.push(target.unwrap_or_default());
        for (index, column) in self.columns[..super::EXTENSIONS].iter_mut().enumerate() {
            column.push(match option(cx, &output[OPTION * (index + 1)..])? {
                None => b"",
                Some([]) => REMOVED,
                Some(value) => value,
            });
        }
        let pairs = list(cx, &output[EXTENSIONS..], EXTENSION)?;
        if pairs.is_empty() {
            self.columns[super::EXTENSIONS].push(b"");
        } else {
            let mut set = Vec::with_capacity(pairs.len() / EXTENSION);
            for pair in pairs.chunks_exact(EXTENSION) {
                let (name, value) = (text(cx, pair)?, text(cx, &pair[8..])?);
                let owned = |text| Ok::<_, wasmtime::Error>(std::str::from_utf8(text)?.to_owned());
                set.push((owned(name)?, owned(value)?));
            }
            self.columns[super::EXTENSIONS].push(extensions(&set).as_bytes());
        }
        let data = option(cx, &output[DATA..])?;
        self.columns[super::DATA].push(data.unwrap_or_default());
        self.has_data.push(u8::from(data.is_some()));
        Ok(())
    }

    fn finish(self) -> Raw {
        Raw {
            kinds: self.kinds,
            counts: self.counts,
            reasons: self.reasons.finish(),
            count: self.has_data.len(),
            outputs: self.columns.map(ColumnBuilder::finish),
            targets: self.targets.finish(),
            has_data: self.has_data,
        }
    }
}
