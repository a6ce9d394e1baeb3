//! Protobuf texts as the official parser of AsyncAPI reads them: it follows no imports but some of
//! Google's, takes the one message that no other uses for what data is, lets a comment choose among
//! several, and writes every use of a message out in full. A text that it would read as something else,
//! or for too long, is not shown to it.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_protobuf::{Outline, Outlined, outline};

use crate::contract::Definition;

/// The imports that it has.
const CARRIED: [&str; 7] = [
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
];

/// It looks for these in any case, so a message with such a name is not seen.
const PRIMITIVES: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// What chooses a message, in a comment before it.
const MARK: &str = "@RootNode";

/// So many uses of messages may be written out.
const MOST_USES: usize = 2000;

/// A text, and the version of the language that it is in.
pub(super) struct Readable {
    pub syntax: u8,
    pub text: String,
}

/// The text of a contract such that data is read as its message; `None` where that cannot be.
pub(super) fn readable(definition: &Definition) -> Option<Readable> {
    let text = definition.schema.as_str()?;
    let outline = outline(text)?;
    let data = data(definition, &outline)?;
    let imports = outline.imports.iter();
    if outline.extends
        || !imports
            .into_iter()
            .all(|one| CARRIED.contains(&one.as_str()))
    {
        return None;
    }
    let mut short = BTreeMap::new();
    for message in &outline.messages {
        let name = last(&message.name);
        let primitive = PRIMITIVES.contains(&name.to_ascii_lowercase().as_str());
        if primitive || short.insert(name, message).is_some() {
            return None;
        }
    }
    uses(data, &short, &mut Vec::new())?;
    let roots = roots(&outline);
    let text = match roots.as_slice() {
        [only] if only.name == data.name => text.to_owned(),
        several if several.iter().any(|root| root.name == data.name) => {
            // The first that is marked is chosen.
            if text.contains(MARK) && several[0].name != data.name {
                return None;
            }
            marked(text, data.start?)
        }
        _ => return None,
    };
    Some(Readable {
        syntax: outline.syntax,
        text,
    })
}

/// The message that the data of all events is.
fn data<'a>(definition: &Definition, outline: &'a Outline) -> Option<&'a Outlined> {
    let Some(types) = &definition.types else {
        return outline.messages.first();
    };
    let named: BTreeSet<&str> = types.values().map(String::as_str).collect();
    let [name] = named.into_iter().collect::<Vec<_>>()[..] else {
        return None;
    };
    let suffix = format!(".{name}");
    let mut found = (outline.messages.iter())
        .filter(|message| message.name == name || message.name.ends_with(&suffix));
    found.next().filter(|_| found.next().is_none())
}

/// The messages that no other uses. Uses count by the name as it is written.
fn roots(outline: &Outline) -> Vec<&Outlined> {
    let used = |message: &Outlined| {
        let name = last(&message.name);
        let mut others = (outline.messages.iter()).filter(|other| other.name != message.name);
        others.any(|other| other.uses.iter().any(|one| one == name))
    };
    (outline.messages.iter())
        .filter(|message| !used(message))
        .collect()
}

/// How many uses of messages are written out below one; `None` where it is too many, or where messages
/// use each other in a circle that is longer than one.
fn uses<'a>(
    message: &'a Outlined,
    all: &BTreeMap<&str, &'a Outlined>,
    above: &mut Vec<&'a str>,
) -> Option<usize> {
    let mut count = 1;
    let mut own = 0;
    above.push(&message.name);
    for name in &message.uses {
        let Some(used) = all.get(last(name)) else {
            continue;
        };
        if used.name == message.name {
            own += 1;
            continue;
        }
        if above.contains(&used.name.as_str()) {
            return None;
        }
        count += uses(used, all, above)?;
        if count > MOST_USES {
            return None;
        }
    }
    above.pop();
    // What uses itself is written out twice over.
    count = count.saturating_mul(1 + own * (own + 1));
    (count <= MOST_USES).then_some(count)
}

/// The comment stands on a line of its own, right before the message.
fn marked(text: &str, start: usize) -> String {
    let (before, after) = text.split_at(start);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indented = line.trim().is_empty();
    let gap = if indented { "" } else { "\n" };
    format!("{before}{gap}// {MARK}\n{after}")
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Format;

    fn read(body: &str, types: &[(&str, &str)]) -> Option<String> {
        let types = types.iter();
        let types: BTreeMap<String, String> = types
            .map(|(name, message)| ((*name).to_owned(), (*message).to_owned()))
            .collect();
        let definition = Definition {
            format: Format::Protobuf,
            schema: format!("syntax = \"proto3\";\n{body}").into(),
            types: (!types.is_empty()).then_some(types),
            ..Definition::default()
        };
        readable(&definition).map(|found| found.text.replacen("syntax = \"proto3\";\n", "", 1))
    }

    #[test]
    fn the_message_is_marked_where_there_are_several() {
        let one = "message A { B b = 1; A a = 2; }\nmessage B {}\n";
        assert_eq!(read(one, &[]).as_deref(), Some(one));
        assert_eq!(
            read("// doc\nmessage A {}\nmessage B {}\n", &[]).as_deref(),
            Some("// doc\n// @RootNode\nmessage A {}\nmessage B {}\n")
        );
        assert_eq!(
            read(
                "package x; message A {} message B {}",
                &[("t", "B"), ("u", "B")]
            )
            .as_deref(),
            Some("package x; message A {} \n// @RootNode\nmessage B {}")
        );
        let marked = "message A {}\n// @RootNode\nmessage B {}\n";
        assert!(read(marked, &[]).is_some_and(|text| text.starts_with("// @RootNode\nmessage A")));
        assert_eq!(
            read(&format!("message Z {{}}\n{marked}"), &[("t", "A")]),
            None
        );
    }

    #[test]
    fn what_would_be_read_otherwise_is_not_shown() {
        for body in [
            "message Money {}\nmessage Bill { Money total = 1; }",
            "message A { B b = 1; }\nmessage B { A a = 1; }",
            "message A { B b = 1; }\nmessage B { C c = 1; }\nmessage C { B b = 1; }",
            "import \"acme/money.proto\";\nmessage A {}",
            "message A { String s = 1; }\nmessage String {}",
            "message A { message C {} C c = 1; }\nmessage B { message C {} C c = 1; }",
            "enum E { X = 0; }",
        ] {
            assert_eq!(read(body, &[]), None, "{body}");
        }
        assert_eq!(
            read("message A {}\nmessage B {}", &[("a", "A"), ("b", "B")]),
            None
        );
        // Twice as many at each level.
        let chain: Vec<String> = (0..20)
            .map(|level| format!("message M{level} {{ M{0} a = 1; M{0} b = 2; }}", level + 1))
            .collect();
        assert_eq!(
            read(&format!("{}\nmessage M20 {{}}", chain.join("\n")), &[]),
            None
        );
    }
}
