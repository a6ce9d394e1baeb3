//! Names and namespaces, as the specification's section "Names" has them.

/// The types that have their name from Avro.
pub const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// Why a text is no simple name, if it is none.
pub(crate) fn simple_flaw(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let starts = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if starts && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return None;
    }
    Some(format!(
        "{:?} is no Avro name: letters A to Z, digits and _, and no digit first",
        crate::fault::shortened(name)
    ))
}

/// The full name of `name` in `namespace`: one with dots is full already.
///
/// # Errors
/// When a part of it is no name.
pub(crate) fn full(name: &str, namespace: &str) -> Result<String, String> {
    if name.contains('.') {
        // ".Name" is Name without a namespace, as other implementations take it.
        let name = name.strip_prefix('.').unwrap_or(name);
        for part in name.split('.') {
            if let Some(flaw) = simple_flaw(part) {
                return Err(format!("{:?}: {flaw}", crate::fault::shortened(name)));
            }
        }
        return Ok(name.to_owned());
    }
    match simple_flaw(name) {
        Some(flaw) => Err(flaw),
        None if namespace.is_empty() => Ok(name.to_owned()),
        None => Ok(format!("{namespace}.{name}")),
    }
}

/// The namespace of a full name; empty when it has none.
pub(crate) fn namespace(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

/// The name without its namespace.
pub(crate) fn simple(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, simple)| simple)
}
