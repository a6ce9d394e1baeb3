//! NDJSON: a JSON value a line. Empty lines are skipped.

use sandbar_sdk::json::Raw;

use crate::node::{self, Node, View};

pub(crate) fn read(data: &[u8], max_rows: usize) -> Result<Node<'_>, String> {
    let mut rows = Vec::new();
    for (index, line) in node::text(data)?.split('\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if rows.len() == max_rows {
            return Err(format!("there are more than {max_rows} rows (max_rows)"));
        }
        let raw = Raw::parse(line.as_bytes()).map_err(|reason| {
            // The place within the line has a line of its own.
            let reason = reason.replace(" at line 1 column ", " at column ");
            format!("line {}: {reason}", index + 1)
        })?;
        rows.push(Node::Json(raw));
    }
    Ok(Node::Array(rows))
}

/// An array's items, a line each; any other value is one line.
pub(crate) fn write(node: &Node<'_>) -> Result<Vec<u8>, String> {
    let rows = match node.view()? {
        View::Array(rows) => rows,
        _ => vec![node.clone()],
    };
    let mut out = Vec::new();
    for row in rows {
        let start = out.len();
        row.write_json(&mut out);
        // A line end within JSON can only be space between values.
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}
