//! Tables for people: columns as wide as what is in them.

use serde_json::Value;

/// Prints rows under a head; says so when there are none.
pub(super) fn print(head: &[&str], rows: &[Vec<String>]) {
    print!("{}", render(head, rows));
}

fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "(none)\n".to_owned();
    }
    let mut widths: Vec<usize> = head.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&widths, head.iter().map(|title| title.to_uppercase()));
    for row in rows {
        text.push_str(&line(&widths, row.iter().cloned()));
    }
    text
}

fn line(widths: &[usize], cells: impl Iterator<Item = String>) -> String {
    let padded = widths
        .iter()
        .zip(cells)
        .map(|(&width, cell)| format!("{cell:<width$}"));
    let joined: Vec<String> = padded.collect();
    format!("{}\n", joined.join("  ").trim_end())
}

/// A value as a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A digest short enough for a table.
pub(super) fn short_digest(value: &Value) -> String {
    let text = value
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("sha256:");
    text.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "1".into()],
            vec!["longer".into(), "22".into()],
        ];
        assert_eq!(
            render(&["name", "n"], &rows),
            "NAME    N\na       1\nlonger  22\n"
        );
        assert_eq!(render(&["name"], &[]), "(none)\n");
    }
}
