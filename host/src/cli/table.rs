//! Tables for people: columns as wide as what is in them.

use serde_json::Value;

use super::output;

/// Prints rows under a head; says so when there are none.
pub(super) fn print(head: &[&str], rows: &[Vec<String>]) {
    output::write(format_args!("{}", render(head, rows)));
}

/// Rows under a head as text.
pub(super) fn render(head: &[&str], rows: &[Vec<String>]) -> String {
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
        .map(|(&width, cell)| format!("{:<width$}", plain(&cell)));
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

/// Text without control characters: what events and plugins say must not steer a terminal, nor break
/// a row. As many characters as before.
pub(super) fn plain(text: &str) -> String {
    let visible = |letter: char| match letter {
        '\n' | '\r' | '\t' => ' ',
        letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(visible).collect()
}

/// A digest short enough for a table.
pub(super) fn short_digest(value: &Value) -> String {
    let text = value
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("sha256:");
    text.chars().take(12).collect()
}

/// A JSON value in a line, shortened.
pub(super) fn short(value: &Value) -> String {
    const LONGEST: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
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

    #[test]
    fn a_cell_stays_in_its_row_and_does_not_steer_the_terminal() {
        let rows = vec![vec!["a\n\u{1b}[2Jb".into(), "1".into()]];
        assert_eq!(
            render(&["id", "n"], &rows),
            "ID       N\na \u{fffd}[2Jb  1\n"
        );
    }
}
