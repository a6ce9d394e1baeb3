//! Patterns of whole numbers in a range: what a number as text may be. Knows nothing of schemas.

/// What matches the decimal numbers from 0 to `largest`, without leading zeros; no anchors.
pub(crate) fn up_to(largest: u64) -> String {
    let digits: Vec<u8> = largest.to_string().into_bytes();
    let length = digits.len();
    let mut choices = vec!["0".to_owned()];
    if length > 1 {
        choices.push(format!("[1-9]{}", any_digits(0, length - 2)));
    }
    // With the same length: alike up to one place, smaller there, anything after it.
    for place in 0..length {
        let least = if place == 0 { b'1' } else { b'0' };
        if digits[place] > least {
            let alike = String::from_utf8_lossy(&digits[..place]);
            let smaller = span(least, digits[place] - 1);
            let rest = length - place - 1;
            choices.push(format!("{alike}{smaller}{}", any_digits(rest, rest)));
        }
    }
    if largest > 0 {
        choices.push(largest.to_string());
    }
    format!("(?:{})", choices.join("|"))
}

/// Whole numbers from `-least` to `largest`.
pub(crate) fn between(least: u64, largest: u64) -> String {
    format!(
        "(?:{}|-{})",
        up_to(largest),
        up_to(least).replacen("(?:0|", "(?:", 1)
    )
}

fn any_digits(from: usize, to: usize) -> String {
    match (from, to) {
        (_, 0) => String::new(),
        (1, 1) => "[0-9]".into(),
        _ if from == to => format!("[0-9]{{{from}}}"),
        _ => format!("[0-9]{{{from},{to}}}"),
    }
}

fn span(from: u8, to: u8) -> String {
    let (from, to) = (char::from(from), char::from(to));
    if from == to {
        from.to_string()
    } else {
        format!("[{from}-{to}]")
    }
}
