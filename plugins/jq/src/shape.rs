//! An event as a value in the shape of the CloudEvents JSON format, and a value as an output.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jaq_json::{Map, Num, Val};
use sandbar_sdk::{Event, Output, Problem, media};
use serde_json::Value;

use crate::value;

/// The member that names one of the route's targets. No extension may have a name like it.
const TARGET: &str = "sandbartarget";

/// The attributes that every event has.
const REQUIRED: [&str; 3] = ["id", "source", "type"];
const OPTIONAL: [&str; 4] = ["subject", "time", "datacontenttype", "dataschema"];

fn text(text: &str) -> Val {
    Val::from(text.to_owned())
}

fn attribute<'a>(event: &Event<'a>, name: &str) -> Option<&'a str> {
    match name {
        "id" => Some(event.id()),
        "source" => Some(event.source()),
        "type" => Some(event.r#type()),
        "subject" => event.subject(),
        "time" => event.time(),
        "datacontenttype" => event.datacontenttype(),
        "dataschema" => event.dataschema(),
        _ => None,
    }
}

/// The event's data as a value.
pub(crate) fn data(event: &Event<'_>) -> Result<Val, Problem> {
    if !event.is_json() {
        let kind = event.datacontenttype().unwrap_or_default();
        return Err(format!("the data is {kind}, not JSON").into());
    }
    if event.data().is_empty() {
        return Err("the event has no data".into());
    }
    value::parse(event.data()).map_err(|reason| format!("the data is not JSON: {reason}").into())
}

/// The event's attributes as an object.
pub(crate) fn attributes(event: &Event<'_>) -> Val {
    Val::obj(members(event))
}

fn members(event: &Event<'_>) -> Map {
    let mut object = Map::default();
    object.insert(text("specversion"), text("1.0"));
    for name in REQUIRED.into_iter().chain(OPTIONAL) {
        if let Some(value) = attribute(event, name) {
            object.insert(text(name), text(value));
        }
    }
    for (name, value) in event.extensions() {
        let value = match value {
            Value::Bool(value) => Val::from(value),
            Value::Number(value) => {
                Val::Num(Num::from_integral(value.as_i64().unwrap_or_default()))
            }
            Value::String(value) => Val::from(value),
            other => Val::from(other.to_string()),
        };
        object.insert(Val::from(name), value);
    }
    object
}

/// The whole event as an object: attributes, and `data` or `data_base64`.
pub(crate) fn event(event: &Event<'_>) -> Result<Val, Problem> {
    let mut object = members(event);
    let bytes = event.data();
    if bytes.is_empty() {
    } else if event.is_json() {
        object.insert(text("data"), data(event)?);
    } else if let Ok(content) = std::str::from_utf8(bytes) {
        object.insert(text("data"), text(content));
    } else {
        object.insert(text("data_base64"), Val::from(STANDARD.encode(bytes)));
    }
    Ok(Val::obj(object))
}

/// An output with this value as its data.
pub(crate) fn output_of_data(value: &Val, event: &Event<'_>) -> Result<Output, String> {
    let output = Output::inherit().data(value::to_json(value)?);
    Ok(if event.is_json() {
        output
    } else {
        output.datacontenttype("application/json")
    })
}

/// An output as this object says: see README.md, "Outputs as events".
pub(crate) fn output_of_event(value: &Val, event: &Event<'_>) -> Result<Output, String> {
    let Val::Obj(object) = value else {
        return Err(format!(
            "the program gives {}; with the output \"event\" each value is an object of attributes and data",
            kind(value)
        ));
    };
    let mut given = Given::default();
    for (name, value) in object.iter() {
        let Val::TStr(name) = name else {
            return Err(format!("{name} is no name of an attribute"));
        };
        let name = std::str::from_utf8(name).map_err(|_| "a name is not UTF-8".to_owned())?;
        given.take(name, value)?;
    }
    given.output(event)
}

/// The members of an output's object.
#[derive(Default)]
struct Given<'a> {
    /// The object has `specversion`: it is the whole event, and what it has not is left out.
    whole: bool,
    /// Name and text; `None` leaves the attribute out.
    attributes: Vec<(&'a str, Option<String>)>,
    extensions: Vec<(&'a str, Option<String>)>,
    target: Option<String>,
    data: Option<&'a Val>,
    data_base64: Option<&'a Val>,
}

impl<'a> Given<'a> {
    fn take(&mut self, name: &'a str, value: &'a Val) -> Result<(), String> {
        match name {
            "specversion" => match scalar(name, value)?.as_deref() {
                Some("1.0") => self.whole = true,
                other => return Err(format!("specversion is {other:?}, not \"1.0\"")),
            },
            "data" => self.data = Some(value),
            "data_base64" => self.data_base64 = Some(value).filter(|value| **value != Val::Null),
            TARGET => self.target = only_text(name, value)?,
            _ if REQUIRED.contains(&name) || OPTIONAL.contains(&name) => {
                self.attributes.push((name, only_text(name, value)?));
            }
            _ => {
                let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                if name.is_empty() || !name.bytes().all(inside) || name.starts_with("sandbar") {
                    return Err(format!(
                        "{name:?} is no name of an attribute: a-z and 0-9, not beginning with sandbar"
                    ));
                }
                self.extensions.push((name, scalar(name, value)?));
            }
        }
        Ok(())
    }

    fn output(mut self, event: &Event<'_>) -> Result<Output, String> {
        let inherited = event.extensions();
        if self.whole {
            for name in REQUIRED.into_iter().chain(OPTIONAL) {
                if self.attributes.iter().all(|(given, _)| *given != name) {
                    self.attributes.push((name, None));
                }
            }
        }
        let mut output = Output::inherit();
        let mut content_type = None;
        for (name, value) in self.attributes {
            let value = value.unwrap_or_default();
            if value.is_empty() && REQUIRED.contains(&name) {
                return Err(format!("the output has no {name}"));
            }
            // What is as it was counts as inherited, so that several outputs get ids of their own.
            if attribute(event, name).unwrap_or_default() == value {
                continue;
            }
            output = match name {
                "id" => output.id(value),
                "source" => output.source(value),
                "type" => output.r#type(value),
                "subject" => output.subject(value),
                "time" => output.time(value),
                "dataschema" => output.dataschema(value),
                _ => {
                    content_type = Some(value.clone());
                    output.datacontenttype(value)
                }
            };
        }
        if self.whole {
            for name in inherited.keys() {
                if self.extensions.iter().all(|(given, _)| given != name) {
                    output = output.extension(name, "");
                }
            }
        }
        for (name, value) in self.extensions {
            let value = value.unwrap_or_default();
            if inherited.get(name).map(plain).unwrap_or_default() != value {
                output = output.extension(name, value);
            }
        }
        if let Some(target) = self.target {
            output = output.target(target);
        }
        match (self.data, self.data_base64) {
            (Some(_), Some(_)) => Err("the output has both data and data_base64".to_owned()),
            (Some(data), None) => with_data(output, data, event, content_type.as_deref()),
            (None, Some(encoded)) => {
                let encoded = only_text("data_base64", encoded)?.unwrap_or_default();
                let bytes = STANDARD
                    .decode(&encoded)
                    .map_err(|error| format!("data_base64: {error}"))?;
                Ok(output.data(bytes))
            }
            (None, None) if self.whole => Ok(output.data(Vec::new())),
            (None, None) => Ok(output),
        }
    }
}

/// JSON data as JSON, and a text as it is where the data is not JSON.
fn with_data(
    output: Output,
    data: &Val,
    event: &Event<'_>,
    content_type: Option<&str>,
) -> Result<Output, String> {
    let kind_of_data = content_type.or(event.datacontenttype()).unwrap_or_default();
    if media::is_json(kind_of_data) {
        return Ok(output.data(value::to_json(data)?));
    }
    match data {
        Val::TStr(content) => Ok(output.data(content.to_vec())),
        Val::Null => Ok(output.data(Vec::new())),
        _ if content_type.is_none() => Ok(output
            .datacontenttype("application/json")
            .data(value::to_json(data)?)),
        other => Err(format!(
            "data is {}, and datacontenttype {kind_of_data:?} is not JSON",
            kind(other)
        )),
    }
}

fn only_text(name: &str, value: &Val) -> Result<Option<String>, String> {
    match value {
        Val::TStr(_) | Val::Null => scalar(name, value),
        other => Err(format!("{name} is {}, not a text", kind(other))),
    }
}

/// A text, integer or boolean in its text form; `None` for null.
fn scalar(name: &str, value: &Val) -> Result<Option<String>, String> {
    match value {
        Val::Null => Ok(None),
        Val::TStr(text) => {
            let text = std::str::from_utf8(text).map_err(|_| format!("{name} is not UTF-8"))?;
            Ok(Some(text.to_owned()))
        }
        Val::Bool(_) | Val::Num(Num::Int(_) | Num::BigInt(_)) => Ok(Some(value.to_string())),
        other => Err(format!(
            "{name} is {}, not a text, an integer or a boolean",
            kind(other)
        )),
    }
}

/// An extension in its text form.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::BStr(_) => "bytes",
        Val::TStr(_) => "a text",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}
