//! What stands in one `.proto` text, its imports not looked at: for those who hand the text on to readers
//! that know less of Protobuf.

use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};

/// A text in outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// 2 or 3.
    pub syntax: u8,
    /// What it imports, in its order.
    pub imports: Vec<String>,
    /// Whether it adds fields to messages that stand elsewhere.
    pub extends: bool,
    /// All messages, each before those inside of it.
    pub messages: Vec<Outlined>,
}

/// A message in outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlined {
    /// The full name.
    pub name: String,
    /// The types of its fields as they are written, without those of the language; of maps the values'.
    pub uses: Vec<String>,
    /// The byte at which it begins, of a message that is in no other.
    pub start: Option<usize>,
}

/// The outline of a text; `None` where it cannot be parsed.
#[must_use]
pub fn outline(text: &str) -> Option<Outline> {
    let parsed = protox_parse::parse("schema.proto", text).ok()?;
    let mut outline = Outline {
        syntax: if parsed.syntax() == "proto3" { 3 } else { 2 },
        imports: parsed.dependency.clone(),
        extends: !parsed.extension.is_empty(),
        messages: Vec::new(),
    };
    for (index, message) in parsed.message_type.iter().enumerate() {
        let start = start_of(&parsed, index, text);
        outline.add(message, parsed.package(), start);
    }
    Some(outline)
}

impl Outline {
    fn add(&mut self, message: &DescriptorProto, scope: &str, start: Option<usize>) {
        let name = match scope {
            "" => message.name().to_owned(),
            scope => format!("{scope}.{}", message.name()),
        };
        let is_entry = |one: &&DescriptorProto| {
            let options = one.options.as_ref();
            options.is_some_and(|options| options.map_entry())
        };
        let entry = |type_name: &str| {
            let mut entries = message.nested_type.iter().filter(is_entry);
            entries.find(|one| type_name.rsplit('.').next() == Some(one.name()))
        };
        let fields = message.field.iter().map(|field| {
            match entry(field.type_name()).and_then(|entry| entry.field.get(1)) {
                Some(value) => value.type_name(),
                None => field.type_name(),
            }
        });
        let uses = fields.filter(|name| !name.is_empty()).map(str::to_owned);
        let uses = uses.collect();
        self.extends |= !message.extension.is_empty();
        self.messages.push(Outlined {
            name: name.clone(),
            uses,
            start,
        });
        for inner in message.nested_type.iter().filter(|one| !is_entry(one)) {
            self.add(inner, &name, None);
        }
    }
}

/// Where the nth message begins. Its path in the descriptor is field 4 (`message_type`); spans hold lines
/// and, in bytes, columns.
fn start_of(parsed: &FileDescriptorProto, nth: usize, text: &str) -> Option<usize> {
    let info = parsed.source_code_info.as_ref()?;
    let mut spans = (info.location.iter())
        .filter(|one| matches!(one.path[..], [4, index] if usize::try_from(index) == Ok(nth)))
        .map(|one| &one.span);
    let [line, column, ..] = spans.next()?[..] else {
        return None;
    };
    let line = usize::try_from(line).ok()?;
    let begun: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let start = begun + usize::try_from(column).ok()?;
    text.get(start..)?.starts_with("message").then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_outlined_as_it_is_written() {
        let text = "syntax = \"proto3\"; package a.b;\nimport \"x.proto\";\n// é\n  /* è */ message A {\n  B b = 1; .a.b.A.C c = 2; map<string, B> m = 3; string s = 4;\n  message C { map<int32, string> n = 1; }\n}\nmessage B { x.Y y = 1; }\n";
        let outline = outline(text).expect("it can be parsed");
        let message = |name: &str, uses: &[&str], start: Option<usize>| Outlined {
            name: name.to_owned(),
            uses: uses.iter().map(|&one| one.to_owned()).collect(),
            start,
        };
        assert_eq!(
            outline,
            Outline {
                syntax: 3,
                imports: vec!["x.proto".to_owned()],
                extends: false,
                messages: vec![
                    message("a.b.A", &["B", ".a.b.A.C", "B"], text.find("message A")),
                    message("a.b.A.C", &[], None),
                    message("a.b.B", &["x.Y"], text.find("message B")),
                ],
            }
        );
    }

    #[test]
    fn what_cannot_be_parsed_has_no_outline_and_extensions_are_told() {
        assert_eq!(outline("message {"), None);
        let text = "message A { extensions 5 to 9; } message B { extend A { optional int32 x = 5; } optional group G = 1 {} }";
        let outline = outline(text).expect("it can be parsed");
        assert!(outline.extends && outline.syntax == 2, "{outline:?}");
        assert_eq!(outline.messages[1].uses, ["G"]);
    }
}
