//! Data of a writer's schema as a reader's schema reads it: the specification's section "Schema
//! Resolution".
//!
//! Where several branches of a reader's union would take a value, one whose type the writer's fits as a
//! whole is taken, of those the one with the same type and full name before others, then promotions.
//! So what [`crate::compare`] says nothing of is read.

use crate::{
    Flaw, Schema,
    compare::{self, Fits},
    decode,
    encode::Output,
    fault::{Fault, fault},
    input::Input,
    logical::Logical,
    node::{Enum, Id, Kind, Record, Types},
    union::Union,
};

/// A reader's and a writer's schema, prepared for any number of data.
#[derive(Debug)]
pub struct Resolution {
    reader: Schema,
    writer: Schema,
    fits: Fits,
}

impl Resolution {
    #[must_use]
    pub fn new(reader: &Schema, writer: &Schema) -> Self {
        Self {
            reader: reader.clone(),
            writer: writer.clone(),
            fits: Fits::new(&reader.types, &writer.types),
        }
    }

    /// Whether every datum that the writer's schema allows can be read: [`crate::compare`] finds nothing.
    #[must_use]
    pub fn total(&self) -> bool {
        self.fits
            .fit((self.reader.types.root, self.writer.types.root))
    }

    /// One bare datum of the writer's schema as one of the reader's.
    ///
    /// # Errors
    /// When it is none of the writer's, or the reader cannot read it. Paths are those of the writer's
    /// data.
    pub fn resolve(&self, data: &[u8]) -> Result<Vec<u8>, Flaw> {
        let walk = Walk {
            reader: &self.reader.types,
            writer: &self.writer.types,
            fits: &self.fits,
        };
        let mut input = Input::new(data);
        let mut out = Output::default();
        let root = (walk.reader.root, walk.writer.root);
        walk.value(root.0, root.1, &mut input, &mut out, 0)?;
        decode::nothing_left(&input)?;
        Ok(out.finish()?)
    }
}

struct Walk<'a> {
    reader: &'a Types,
    writer: &'a Types,
    fits: &'a Fits,
}

impl Walk<'_> {
    fn value(
        &self,
        read: Id,
        written: Id,
        input: &mut Input<'_>,
        out: &mut Output,
        depth: usize,
    ) -> Result<(), Fault> {
        input.count()?;
        out.enter(depth)?;
        if let Kind::Union(union) = self.writer.kind(written) {
            let index = input.index(union.branches.len(), "branch")?;
            let branch = union.branches[index];
            let named = union.names_all() && Some(index) != union.null;
            return self
                .value(read, branch, input, out, depth + usize::from(named))
                .map_err(|fault| match named {
                    true => fault.within(self.writer.branch_name(branch)),
                    false => fault,
                });
        }
        if let Kind::Union(union) = self.reader.kind(read) {
            let index = self.choose(union, written)?;
            out.length(index);
            return self.value(union.branches[index], written, input, out, depth);
        }
        if let Some((rule, _, message)) =
            compare::mismatch(self.reader, self.writer, (read, written))
            && rule != "MISSING_ENUM_SYMBOLS"
        {
            return Err(fault(message));
        }
        if matches!(
            self.writer.node(written).logical,
            Some(Logical::Decimal { .. } | Logical::Uuid)
        ) {
            // Its bytes are copied below; here it is seen whether they are what they should be.
            decode::skip(self.writer, written, &mut input.clone(), depth)?;
        }
        self.matched(read, written, input, out, depth)
    }

    /// A value of a type that the reader's takes, looked at from outside.
    fn matched(
        &self,
        read: Id,
        written: Id,
        input: &mut Input<'_>,
        out: &mut Output,
        depth: usize,
    ) -> Result<(), Fault> {
        match (self.reader.kind(read), self.writer.kind(written)) {
            (Kind::Null, _) => {}
            (Kind::Boolean, _) => match input.array::<1>()? {
                [byte @ (0 | 1)] => out.bytes.push(byte),
                [other] => return Err(fault(format!("a boolean is 0 or 1, and this is {other}"))),
            },
            (Kind::Int | Kind::Long, Kind::Int) => out.long(i64::from(input.int()?)),
            (Kind::Long, _) => out.long(input.long()?),
            (Kind::Float | Kind::Double, Kind::Int | Kind::Long) => {
                let number = match self.writer.kind(written) {
                    Kind::Int => i64::from(input.int()?),
                    _ => input.long()?,
                };
                #[expect(clippy::cast_precision_loss, reason = "Avro promotes so")]
                match self.reader.kind(read) {
                    Kind::Float => out.bytes.extend_from_slice(&(number as f32).to_le_bytes()),
                    _ => out.bytes.extend_from_slice(&(number as f64).to_le_bytes()),
                }
            }
            (Kind::Double, Kind::Float) => {
                let number = f64::from(f32::from_le_bytes(input.array()?));
                out.bytes.extend_from_slice(&number.to_le_bytes());
            }
            (Kind::Float, _) => out.bytes.extend_from_slice(input.take(4)?),
            (Kind::Double, _) => out.bytes.extend_from_slice(input.take(8)?),
            (Kind::Bytes, Kind::Bytes) => out.sized(input.bytes()?),
            (Kind::Bytes | Kind::String, _) => out.sized(input.string()?.as_bytes()),
            (Kind::Fixed(fixed), _) => out.bytes.extend_from_slice(input.take(fixed.size)?),
            (Kind::Enum(symbols), Kind::Enum(written)) => symbol(symbols, written, input, out)?,
            (&Kind::Array(one), &Kind::Array(other)) => {
                self.items((one, other), false, input, out, depth)?;
            }
            (&Kind::Map(one), &Kind::Map(other)) => {
                self.items((one, other), true, input, out, depth)?;
            }
            (Kind::Record(one), Kind::Record(other)) => {
                self.record(one, other, input, out, depth)?;
            }
            (one, other) => {
                return Err(fault(format!("{} is no {}", other.word(), one.word())));
            }
        }
        Ok(())
    }

    /// The branch of a reader's union that a type of the writer's is read as.
    fn choose(&self, union: &Union, written: Id) -> Result<usize, Fault> {
        let kind = self.writer.kind(written);
        let branches = &union.branches;
        let matches = |index: usize| {
            let branch = self.reader.kind(branches[index]);
            branch.word() == kind.word() || compare::promoted(branch, kind)
        };
        let rank = |index: usize| {
            let branch = self.reader.kind(branches[index]);
            let full = self.reader.full_name(branches[index]) == self.writer.full_name(written);
            let named = branch
                .named()
                .zip(kind.named())
                .is_none_or(|(one, other)| compare::same_name(one, other));
            let fits = self.fits.fit((branches[index], written));
            let same = branch.word() == kind.word();
            (!fits, !(same && full), !named, !same, index)
        };
        union
            .candidates(kind)
            .into_iter()
            .filter(|&index| matches(index))
            .min_by_key(|&index| rank(index))
            .ok_or_else(|| {
                fault(format!(
                    "the reader's union has no branch for {}",
                    self.writer.branch_name(written)
                ))
            })
    }

    fn items(
        &self,
        (one, other): (Id, Id),
        keys: bool,
        input: &mut Input<'_>,
        out: &mut Output,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut index = 0;
        let mut seen = std::collections::HashSet::new();
        while let Some(block) = input.block()? {
            out.length(block.items);
            for _ in 0..block.items {
                if keys {
                    let key = input.string()?;
                    if !seen.insert(key) {
                        return Err(fault("the key is in the map twice").within(key));
                    }
                    out.sized(key.as_bytes());
                    self.value(one, other, input, out, depth + 1)
                        .map_err(|fault| fault.within(key))?;
                } else {
                    self.value(one, other, input, out, depth + 1)
                        .map_err(|fault| fault.at(index))?;
                }
                index += 1;
            }
            input.end(&block)?;
        }
        out.bytes.push(0);
        Ok(())
    }

    fn record(
        &self,
        reader: &Record,
        writer: &Record,
        input: &mut Input<'_>,
        out: &mut Output,
        depth: usize,
    ) -> Result<(), Fault> {
        let sources = compare::sources(reader, writer);
        let mut targets = vec![None; writer.fields.len()];
        for (target, source) in sources.iter().enumerate() {
            if let Some(source) = source {
                targets[*source] = Some(target);
            }
        }
        // The fields come in the writer's order and go in the reader's.
        let start = out.bytes.len();
        let mut places = vec![None; reader.fields.len()];
        for (field, target) in writer.fields.iter().zip(targets) {
            let before = out.bytes.len();
            match target {
                Some(target) => {
                    self.value(
                        reader.fields[target].schema,
                        field.schema,
                        input,
                        out,
                        depth + 1,
                    )
                    .map_err(|fault| fault.within(&field.name))?;
                    places[target] = Some(before..out.bytes.len());
                }
                None => decode::skip(self.writer, field.schema, input, depth + 1)
                    .map_err(|fault| fault.within(&field.name))?,
            }
        }
        let given = out.bytes.split_off(start);
        for (field, place) in reader.fields.iter().zip(places) {
            match (place, &field.default) {
                (Some(place), _) => out
                    .bytes
                    .extend_from_slice(&given[place.start - start..place.end - start]),
                (None, Some(default)) => out.take_default(default, depth + 1)?,
                (None, None) => {
                    return Err(fault(format!(
                        "the reader's field {:?} has no default, and the writer no such field",
                        field.name
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A symbol of the writer's, or the reader's default for one that it does not have.
fn symbol(
    reader: &Enum,
    writer: &Enum,
    input: &mut Input<'_>,
    out: &mut Output,
) -> Result<(), Fault> {
    let symbol = &writer.symbols[input.index(writer.symbols.len(), "symbol")?];
    let place = reader.by_symbol.get(symbol).copied().or(reader.default);
    let place = place.ok_or_else(|| {
        fault(format!(
            "the reader's {} has no symbol {symbol}, and no default",
            reader.named.full
        ))
    })?;
    out.length(place);
    Ok(())
}
