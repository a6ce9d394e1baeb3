//! XML 1.0: an element is an object of its attributes (`@name`), its elements, and its text (`#text`);
//! an element of text alone is that text. Elements of one name beside each other are an array.
//!
//! A document type is refused, and with it entities of its own: nothing is expanded or fetched.

use std::borrow::Cow;

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};
use sandbar_sdk::json::{DEEPEST, place};

use crate::{
    config::Xml,
    node::{self, Node, View},
};

/// An element that is being read.
struct Element<'a> {
    name: String,
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    text: String,
    has_elements: bool,
}

pub(crate) fn read<'a>(data: &'a [u8], config: &Xml) -> Result<Node<'a>, String> {
    let text = node::text(data)?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let mut reading = Reading {
        config,
        open: Vec::new(),
        root: None,
    };
    loop {
        let start = reader.buffer_position();
        let at = |position: u64, reason: String| {
            let position = usize::try_from(position).unwrap_or(usize::MAX);
            let (line, column) = place(text.as_bytes(), position);
            format!("line {line} column {column}: {reason}")
        };
        let event = reader
            .read_event()
            .map_err(|error| at(reader.error_position(), error.to_string()))?;
        if matches!(event, Event::Eof) {
            return reading.finish().map_err(|reason| at(start, reason));
        }
        reading.take(event).map_err(|reason| at(start, reason))?;
    }
}

struct Reading<'a, 'c> {
    config: &'c Xml,
    open: Vec<Element<'a>>,
    root: Option<(Cow<'a, str>, Node<'a>)>,
}

impl<'a> Reading<'a, '_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(start) => self.open(&start),
            Event::End(_) => {
                let Some(element) = self.open.pop() else {
                    return Err("an end tag without its start".to_owned());
                };
                self.close(element);
                Ok(())
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => match self.open.is_empty() {
                true => Err("text outside of the root element".to_owned()),
                false => self.text(&text.xml10_content()),
            },
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                match reference.resolve_char_ref() {
                    Ok(Some(one)) => self.text(one.encode_utf8(&mut [0; 4])),
                    Ok(None) => match resolve_xml_entity(&name) {
                        Some(text) => self.text(text),
                        None => Err(format!("the entity &{name}; is not known")),
                    },
                    Err(error) => Err(error.to_string()),
                }
            }
            Event::DocType(_) => Err("a document type is not taken".to_owned()),
            Event::Decl(declaration) => match declaration.encoding() {
                None => Ok(()),
                Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
                Some(Ok(encoding)) => Err(format!("the encoding is {encoding}, not UTF-8")),
                Some(Err(error)) => Err(error.to_string()),
            },
            // `Empty` comes as start and end.
            Event::Comment(_) | Event::PI(_) | Event::Empty(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.is_empty() && self.root.is_some() {
            return Err("a second root element".to_owned());
        }
        if self.open.len() == DEEPEST {
            return Err(format!("nested deeper than {DEEPEST}"));
        }
        let mut members = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            let name = format!("@{}", attribute.key.0);
            members.push((Cow::Owned(name), Node::Text(Cow::Owned(value.into_owned()))));
        }
        self.open.push(Element {
            name: start.name().0.to_owned(),
            members,
            text: String::new(),
            has_elements: false,
        });
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_ascii().is_empty() => {}
            None => return Err("text outside of the root element".to_owned()),
        }
        Ok(())
    }

    fn close(&mut self, mut element: Element<'a>) {
        let node = if element.members.is_empty() {
            Node::Text(Cow::Owned(element.text))
        } else {
            // Space between elements only makes the document readable.
            let is_layout = element.has_elements && element.text.trim_ascii().is_empty();
            if !is_layout && !element.text.is_empty() {
                let text = Node::Text(Cow::Owned(element.text));
                element.members.push((Cow::Borrowed("#text"), text));
            }
            Node::Object(element.members)
        };
        let always = self.config.arrays.contains(&element.name);
        let name = Cow::Owned(element.name);
        let Some(parent) = self.open.last_mut() else {
            self.root = Some((name, node));
            return;
        };
        parent.has_elements = true;
        // The last first: elements of one name mostly follow each other.
        match parent
            .members
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name)
        {
            None if always => parent.members.push((name, Node::Array(vec![node]))),
            None => parent.members.push((name, node)),
            Some((_, Node::Array(nodes))) => nodes.push(node),
            Some((_, first)) => *first = Node::Array(vec![first.clone(), node]),
        }
    }

    fn finish(self) -> Result<Node<'a>, String> {
        if let Some(element) = self.open.last() {
            return Err(format!("<{}> is never closed", element.name));
        }
        match self.root {
            Some(root) => Ok(Node::Object(vec![root])),
            None => Err("there is no element".to_owned()),
        }
    }
}

pub(crate) fn write(node: &Node<'_>, config: &Xml) -> Result<Vec<u8>, String> {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    match (node.view()?, &config.root) {
        (View::Object(members), _) if is_document(&members)? => {
            let (name, value) = &members[0];
            element(name, value, &mut out)?;
        }
        (View::Array(items), Some(root)) => {
            let item = config.item.as_deref().unwrap_or("item");
            let items = Node::Object(vec![(Cow::Borrowed(item), Node::Array(items))]);
            element(root, &items, &mut out)?;
        }
        (_, Some(root)) => element(root, node, &mut out)?,
        (other, None) => {
            return Err(format!(
                "needs an object of one member, the root element, not {}; /xml/root names one",
                other.kind()
            ));
        }
    }
    Ok(out.into_bytes())
}

/// Whether an object is a document: one member that is an element, and not several.
fn is_document(members: &[(Cow<'_, str>, Node<'_>)]) -> Result<bool, String> {
    Ok(match members {
        [(name, value)] => {
            !name.starts_with(['@', '#']) && !matches!(value.view()?, View::Array(_))
        }
        _ => false,
    })
}

fn element(name: &str, value: &Node<'_>, out: &mut String) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!("{name:?} is no name of an element"));
    }
    let members = match value.view()? {
        View::Array(items) => {
            for item in &items {
                if matches!(item.view()?, View::Array(_)) {
                    return Err(format!("{name:?} holds an array in an array"));
                }
                element(name, item, out)?;
            }
            return Ok(());
        }
        View::Null => Vec::new(),
        View::Scalar(text) => vec![(Cow::Borrowed("#text"), Node::Text(text))],
        View::Object(members) => members,
    };
    out.push('<');
    out.push_str(name);
    for (member, value) in &members {
        let Some(attribute) = member.strip_prefix('@') else {
            continue;
        };
        if !is_name(attribute) {
            return Err(format!("{member:?} is no name of an attribute"));
        }
        match value.view()? {
            View::Null => {}
            View::Scalar(text) => {
                out.push(' ');
                out.push_str(attribute);
                out.push_str("=\"");
                escape(&text, true, out).map_err(|reason| format!("{name}/{member}: {reason}"))?;
                out.push('"');
            }
            other => return Err(format!("{name}/{member}: is {}", other.kind())),
        }
    }
    if members.iter().all(|(member, _)| member.starts_with('@')) {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    for (member, value) in &members {
        if member == "#text" {
            match value.view()? {
                View::Null => {}
                View::Scalar(text) => {
                    escape(&text, false, out).map_err(|reason| format!("{name}: {reason}"))?;
                }
                other => return Err(format!("{name}/#text: is {}", other.kind())),
            }
        } else if !member.starts_with('@') {
            element(member, value, out)?;
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
    Ok(())
}

/// XML 1.0 §2.3, "Name", with all letters that are not ASCII.
fn is_name(text: &str) -> bool {
    let first = |one: char| one.is_alphabetic() || matches!(one, '_' | ':');
    let rest = |one: char| first(one) || one.is_alphanumeric() || matches!(one, '-' | '.');
    text.starts_with(first) && text.chars().all(rest)
}

/// Line ends are written as references where a reader would change them (XML 1.0 §2.11, §3.3.3).
fn escape(text: &str, in_attribute: bool, out: &mut String) -> Result<(), String> {
    for one in text.chars() {
        match one {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            '\n' | '\t' => out.push(one),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(format!("U+{:04X} cannot stand in XML", one as u32));
            }
            other => out.push(other),
        }
    }
    Ok(())
}
