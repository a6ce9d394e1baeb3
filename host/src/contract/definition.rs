//! What a user registers as a contract.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A contract's content. Unknown members are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The JSON Schema document.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// For each CloudEvents type, the part of the document that holds for its data, as a reference
    /// such as `#/definitions/order`. Without it the whole document holds for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Definition {
    /// `sha256:` and the hash, in hex, of the definition as JSON without spaces and with the keys of
    /// every object in order: the same for the same content, however it was written.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut canonical = String::new();
        write_canonical(
            &serde_json::to_value(self).unwrap_or_default(),
            &mut canonical,
        );
        let hash = Sha256::digest(canonical.as_bytes());
        let mut digest = String::from("sha256:");
        for byte in hash {
            // Writing into a String cannot fail.
            write!(digest, "{byte:02x}").unwrap_or_default();
        }
        digest
    }
}

/// Sorts keys itself: whether `serde_json` does depends on features that any crate may switch on.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
