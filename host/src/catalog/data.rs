//! The data of a topic's events on its way: which schema wrote it, whether it fits the topic's contract,
//! and as JSON and back.
//!
//! Avro and Protobuf data does not say what it means, so each event names the schema that wrote it: with
//! `dataschema` (a contract version), by the frame of Confluent's serializers (an id), or not at all,
//! which means the version that the topic is bound to when it is published; that is written into its
//! `dataschema` then, so that it means the same when the topic is bound to another version. What could
//! be read in two ways is refused.

mod precise;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use bytes::Bytes;
use sandbar_avro::Resolution;
use sandbar_types::{Event, EventRef, event::is_json};
use serde_json::Value;

use super::{BoundContract, State, Topic};
use crate::contract::{Contract, Format, Violation, Violations};

/// Data behind the frame of Confluent's serializers: a zero byte, the id of the writer's schema in four
/// bytes (big-endian), in Protobuf the indexes of the message, and the datum.
pub const CONFLUENT_AVRO: &str = "application/vnd.confluent.avro";
pub const CONFLUENT_PROTOBUF: &str = "application/vnd.confluent.protobuf";

/// Prepared resolutions are kept of so many pairs of schemas.
const MOST_RESOLUTIONS: usize = 256;

/// Finds the schemas that wrote data.
#[derive(Clone)]
pub(super) struct Writers {
    state: Weak<RwLock<State>>,
    resolutions: Arc<Mutex<Resolutions>>,
}

/// By the ids of the writer's and the reader's schema.
type Resolutions = HashMap<(u32, u32), Arc<Resolution>>;

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writers")
    }
}

impl Writers {
    pub fn new(state: &Arc<RwLock<State>>) -> Self {
        Self {
            state: Arc::downgrade(state),
            resolutions: Arc::default(),
        }
    }

    fn with<T>(&self, find: impl FnOnce(&State) -> Option<T>) -> Option<T> {
        let state = self.state.upgrade()?;
        let state = state.read().unwrap_or_else(PoisonError::into_inner);
        find(&state)
    }

    /// A contract version; also one that was withdrawn, since stored events may be by it.
    fn version(&self, name: &str, version: u32) -> Option<Arc<BoundContract>> {
        self.with(|state| {
            let all = [&state.contracts, &state.withdrawn];
            let mut found = all
                .into_iter()
                .filter_map(|all| all.get(name)?.get(&version));
            found.next().cloned()
        })
    }

    fn id(&self, id: u32) -> Option<Arc<BoundContract>> {
        self.with(|state| {
            let all = [&state.contracts, &state.withdrawn];
            let mut found = state.schema_ids.holders(id).flat_map(|(name, version)| {
                all.iter().filter_map(|all| all.get(name)?.get(version))
            });
            found.next().cloned()
        })
    }

    fn resolution(
        &self,
        reader: (u32, &sandbar_avro::Schema),
        writer: (u32, &sandbar_avro::Schema),
    ) -> Arc<Resolution> {
        let key = (writer.0, reader.0);
        let kept = || {
            self.resolutions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(found) = kept().get(&key) {
            return found.clone();
        }
        let made = Arc::new(Resolution::new(reader.1, writer.1));
        let mut kept = kept();
        if kept.len() >= MOST_RESOLUTIONS {
            kept.clear();
        }
        kept.insert(key, made.clone());
        made
    }
}

/// What is known of the data of a topic's events: its contract as it is now, and all others.
#[derive(Debug)]
pub struct TopicData {
    bound: Option<Arc<BoundContract>>,
    writers: Writers,
}

/// Data in a binary format, and what wrote it.
struct Written<'a> {
    by: Arc<BoundContract>,
    /// Without a frame.
    datum: &'a [u8],
    /// The message that the frame names.
    message: Option<sandbar_protobuf::Schema>,
}

/// Data as a target takes it.
pub struct Encoded {
    pub datacontenttype: &'static str,
    /// Of the contract version that it is by.
    pub dataschema: String,
    pub data: Vec<u8>,
}

fn violation(pointer: &str, reason: impl Into<String>) -> Violations {
    Violations::from(Violation {
        pointer: pointer.to_owned(),
        reason: reason.into(),
        schema_pointer: String::new(),
    })
}

fn flawed(path: &str, reason: &str) -> Violations {
    violation(&format!("/data{path}"), reason)
}

/// The `dataschema` of what is by a contract version.
fn dataschema(bound: &BoundContract) -> String {
    format!(
        "sandbar:/v1/contracts/{}/versions/{}",
        bound.name, bound.version
    )
}

/// The contract version that a `dataschema` names: any address that ends in the path of one.
fn version_of(dataschema: &str) -> Option<(&str, u32)> {
    let (_, path) = dataschema.split_once(':')?;
    let path = match path.strip_prefix("//") {
        Some(rest) => &rest[rest.find('/')?..],
        None => path,
    };
    let (name, version) = path
        .strip_prefix("/v1/contracts/")?
        .split_once("/versions/")?;
    Some((name, version.parse().ok()?))
}

fn essence(datacontenttype: &str) -> &str {
    datacontenttype.split(';').next().unwrap_or_default().trim()
}

/// The binary format that a content type says, and whether a frame is before the datum.
fn binary(datacontenttype: &str) -> Option<(Format, bool)> {
    let said = essence(datacontenttype);
    let bare = [Format::Avro, Format::Protobuf];
    if let Some(format) = bare.into_iter().find(|one| one.is_said_by(said)) {
        return Some((format, false));
    }
    if said.eq_ignore_ascii_case(CONFLUENT_AVRO) {
        return Some((Format::Avro, true));
    }
    said.eq_ignore_ascii_case(CONFLUENT_PROTOBUF)
        .then_some((Format::Protobuf, true))
}

impl Topic {
    /// What is known of the data of its events now.
    #[must_use]
    pub fn data(&self) -> TopicData {
        self.data_by(self.contract())
    }

    /// The same as if another contract held.
    #[must_use]
    pub fn data_by(&self, bound: Option<Arc<BoundContract>>) -> TopicData {
        TopicData {
            bound,
            writers: self.writers.clone(),
        }
    }
}

impl TopicData {
    /// The contract that holds.
    #[must_use]
    pub fn contract(&self) -> Option<&Arc<BoundContract>> {
        self.bound.as_ref()
    }

    /// Whether events are Avro or Protobuf by the contract.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.binary_contract().is_some()
    }

    fn binary_contract(&self) -> Option<&Arc<BoundContract>> {
        let bound = self.bound.as_ref();
        bound.filter(|bound| bound.contract.format() != Format::Json)
    }

    /// Has an event that does not say what wrote it say so: the version that the topic is bound to.
    pub fn stamp(&self, event: &mut Event) {
        let Some(bound) = self.binary_contract() else {
            return;
        };
        let bare = binary(&event.datacontenttype) == Some((bound.contract.format(), false));
        if bare && event.dataschema.is_empty() {
            event.dataschema = dataschema(bound);
        }
    }

    /// Whether an event fits the topic's contract; data of another version must be such that the
    /// contract's own can read it.
    ///
    /// # Errors
    /// With what does not fit.
    pub fn check(&self, event: EventRef<'_>) -> Result<(), Violations> {
        match &self.bound {
            None => Ok(()),
            Some(bound) => self.check_by(bound.contract.usable()?, Some(bound.id), event),
        }
    }

    /// Whether an event would fit if the topic had this contract.
    ///
    /// # Errors
    /// With what would not fit.
    pub fn check_as(&self, contract: &Contract, event: EventRef<'_>) -> Result<(), Violations> {
        self.check_by(contract, None, event)
    }

    fn check_by(
        &self,
        contract: &Contract,
        id: Option<u32>,
        event: EventRef<'_>,
    ) -> Result<(), Violations> {
        let itself = || contract.check(event.r#type, event.datacontenttype, event.data);
        let format = contract.format();
        let framed = match binary(event.datacontenttype) {
            Some((said, framed)) if said == format => framed,
            // It fits, or it is told what the contract is for.
            _ => return itself(),
        };
        let bound = self.binary_contract();
        let known = bound.is_some_and(|bound| bound.contract.format() == format);
        if !framed && event.dataschema.is_empty() && !known {
            // What does not say who wrote it is taken to be by the contract.
            return itself();
        }
        let written = self.written(event)?;
        if let Some(reader) = contract.avro() {
            return self.check_avro((id, reader), &written);
        }
        match contract.protobuf(event.r#type) {
            Some(reader) => check_protobuf((id, reader?), event.r#type, &written),
            None => Ok(()),
        }
    }

    fn check_avro(
        &self,
        (id, reader): (Option<u32>, &sandbar_avro::Schema),
        written: &Written<'_>,
    ) -> Result<(), Violations> {
        let of = |flaw: sandbar_avro::Flaw| flawed(&flaw.path, &flaw.reason);
        if Some(written.by.id) == id {
            return reader.check(written.datum).map_err(of);
        }
        let Some(writer) = written.by.contract.usable()?.avro() else {
            return Err(other_format(&written.by));
        };
        let resolution = match id {
            Some(id) => {
                let writer = (written.by.id, writer);
                self.writers.resolution((id, reader), writer)
            }
            None => Arc::new(Resolution::new(reader, writer)),
        };
        let read = resolution.resolve(written.datum).map_err(of)?;
        reader.check(&read).map_err(of)
    }

    /// The data of an event as JSON text, by the schema that wrote it; none where it is JSON.
    ///
    /// # Errors
    /// When it is neither JSON nor of a known schema, or not what the schema says.
    pub fn decode(&self, event: EventRef<'_>) -> Result<Option<Bytes>, Violations> {
        if is_json(event.datacontenttype) {
            return Ok(None);
        }
        let written = self.written(event)?;
        let json = if let Some(schema) = written.by.contract.usable()?.avro() {
            let json = schema.to_json(written.datum);
            json.map_err(|flaw| flawed(&flaw.path, &flaw.reason))?
        } else {
            let message = match (
                &written.message,
                written.by.contract.usable()?.protobuf(event.r#type),
            ) {
                (Some(message), _) => message,
                (None, Some(message)) => message?,
                (None, None) => return Err(other_format(&written.by)),
            };
            let json = message.to_json(written.datum);
            json.map_err(|flaw| flawed(&flaw.path, &flaw.reason))?
        };
        Ok(Some(json.to_string().into()))
    }

    /// JSON data as the topic's contract has it; none where it stays as it is, which is checked then.
    ///
    /// # Errors
    /// When it does not fit in exactly one way, or something would be lost.
    pub fn encode(&self, event: EventRef<'_>) -> Result<Option<Encoded>, Violations> {
        let Some(bound) = self
            .binary_contract()
            .filter(|_| is_json(event.datacontenttype))
        else {
            return self.check(event).map(|()| None);
        };
        let json = precise::parse(event.data)
            .map_err(|error| violation("/data", format!("the data is not JSON: {error}")))?;
        let (datacontenttype, data) = encoded(bound, event.r#type, &json)?;
        Ok(Some(Encoded {
            datacontenttype,
            dataschema: dataschema(bound),
            data,
        }))
    }

    /// What wrote the data of an event in a binary format.
    fn written<'a>(&self, event: EventRef<'a>) -> Result<Written<'a>, Violations> {
        let Some((format, framed)) = binary(event.datacontenttype) else {
            let reason = format!(
                "{:?} is neither JSON nor Avro nor Protobuf",
                essence(event.datacontenttype)
            );
            return Err(violation("/datacontenttype", reason));
        };
        let named = self.named(event.dataschema)?;
        let mut written = if framed {
            self.framed(format, event.data, named.as_deref())?
        } else {
            let bound = || {
                let bound = self.bound.clone();
                bound.filter(|bound| bound.contract.format() == format)
            };
            let by = named.or_else(bound).ok_or_else(|| {
                violation("/dataschema", "names no contract version, and the topic has no contract of this format: who wrote the data is not known")
            })?;
            Written {
                by,
                datum: event.data,
                message: None,
            }
        };
        if written.by.contract.format() != format {
            return Err(other_format(&written.by));
        }
        if format == Format::Protobuf && framed {
            let schema = written.by.contract.usable()?.protobuf(event.r#type);
            let schema = schema.ok_or_else(|| other_format(&written.by))??;
            let (indexes, length) = sandbar_protobuf::decode_indexes(written.datum)
                .map_err(|flaw| flawed(&flaw.path, &flaw.reason))?;
            let message = schema.message_at(&indexes).ok_or_else(|| {
                let reason = format!(
                    "the frame names message {indexes:?}, which {} does not have",
                    written.by.reference()
                );
                violation("/data", reason)
            })?;
            written.datum = &written.datum[length..];
            written.message = Some(message);
        }
        Ok(written)
    }

    /// The contract version that a `dataschema` names.
    fn named(&self, dataschema: &str) -> Result<Option<Arc<BoundContract>>, Violations> {
        if dataschema.is_empty() {
            return Ok(None);
        }
        let Some((name, version)) = version_of(dataschema) else {
            return Err(violation(
                "/dataschema",
                "names no contract version of this hub (…/v1/contracts/NAME/versions/N), so it is not known what wrote the data; leave it out where that is the topic's contract",
            ));
        };
        let found = self.writers.version(name, version).ok_or_else(|| {
            violation(
                "/dataschema",
                format!("there is no contract version {name}@{version}"),
            )
        })?;
        Ok(Some(found))
    }

    fn framed<'a>(
        &self,
        format: Format,
        data: &'a [u8],
        named: Option<&BoundContract>,
    ) -> Result<Written<'a>, Violations> {
        let [0, a, b, c, d, datum @ ..] = data else {
            return Err(violation(
                "/data",
                "has no frame of Confluent's serializers: a zero byte and the id of a schema in four bytes",
            ));
        };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        let by = self.writers.id(id).ok_or_else(|| {
            violation(
                "/data",
                format!("the frame names schema {id}, and there is none with that id"),
            )
        })?;
        if let Some(named) = named.filter(|named| named.id != id) {
            let reason = format!(
                "names {} with id {}, and the frame of the data names id {id}",
                named.reference(),
                named.id
            );
            return Err(violation("/dataschema", reason));
        }
        if by.contract.format() != format {
            return Err(other_format(&by));
        }
        Ok(Written {
            by,
            datum,
            message: None,
        })
    }
}

fn other_format(by: &BoundContract) -> Violations {
    let format = by.contract.format().title();
    violation(
        "/datacontenttype",
        format!(
            "the data is by contract {}, which is {format}",
            by.reference()
        ),
    )
}

/// Every version of a Protobuf message reads the bytes of another as far as they mean the same to it.
fn check_protobuf(
    (id, reader): (Option<u32>, &sandbar_protobuf::Schema),
    event_type: &str,
    written: &Written<'_>,
) -> Result<(), Violations> {
    let of = |flaw: sandbar_protobuf::Flaw| flawed(&flaw.path, &flaw.reason);
    let writer = match (
        &written.message,
        written.by.contract.usable()?.protobuf(event_type),
    ) {
        (Some(message), _) => message,
        (None, Some(message)) => message?,
        (None, None) => return Err(other_format(&written.by)),
    };
    if writer.name() != reader.name() {
        let reason = format!(
            "the data is a {}, and for events of this type the contract has {}",
            writer.name(),
            reader.name()
        );
        return Err(violation("/data", reason));
    }
    writer.check(written.datum).map_err(of)?;
    if Some(written.by.id) == id {
        return Ok(());
    }
    reader
        .check_with(written.datum, sandbar_protobuf::Unknown::Skipped)
        .map_err(of)
}

fn encoded(
    bound: &BoundContract,
    event_type: &str,
    json: &Value,
) -> Result<(&'static str, Vec<u8>), Violations> {
    if let Some(schema) = bound.contract.usable()?.avro() {
        let bytes = schema.to_bytes(json);
        let bytes = bytes.map_err(|flaw| flawed(&flaw.path, &flaw.reason))?;
        return Ok((Format::Avro.media_types()[0], bytes));
    }
    let message = bound.contract.usable()?.protobuf(event_type);
    let message = message.ok_or_else(|| other_format(bound))??;
    let bytes = message.to_bytes(json);
    let bytes = bytes.map_err(|flaw| flawed(&flaw.path, &flaw.reason))?;
    Ok((Format::Protobuf.media_types()[0], bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataschema_names_a_version_by_its_path() {
        for address in [
            "sandbar:/v1/contracts/orders/versions/3",
            "http://127.0.0.1:7400/v1/contracts/orders/versions/3",
            "https://hub.example/v1/contracts/orders/versions/3",
        ] {
            assert_eq!(version_of(address), Some(("orders", 3)), "{address}");
        }
        for address in [
            "https://hub.example/schemas/orders",
            "https://hub.example/v1/contracts/orders/versions/latest",
            "https://hub.example/v1/contracts/orders",
            "https://hub.example",
            "urn:x",
            "orders",
        ] {
            assert_eq!(version_of(address), None, "{address}");
        }
    }

    #[test]
    fn content_types() {
        assert_eq!(binary("application/avro"), Some((Format::Avro, false)));
        assert_eq!(binary("AVRO/binary; x=1"), Some((Format::Avro, false)));
        assert_eq!(
            binary("application/x-protobuf"),
            Some((Format::Protobuf, false))
        );
        assert_eq!(binary(CONFLUENT_AVRO), Some((Format::Avro, true)));
        assert_eq!(
            binary("application/vnd.Confluent.Protobuf"),
            Some((Format::Protobuf, true))
        );
        assert_eq!(binary("application/json"), None);
        assert_eq!(binary(""), None);
    }
}
