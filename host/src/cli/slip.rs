//! The word that was meant where an unknown one stands.

/// The expected word that is nearest to the unknown one, from serde's message: unknown field `a`,
/// expected one of `b`, `c`.
pub(super) fn meant(message: &str) -> Option<String> {
    let (_, rest) = message
        .split_once("unknown field `")
        .or_else(|| message.split_once("unknown variant `"))?;
    let (unknown, expected) = rest.split_once('`')?;
    let words = expected.split('`').skip(1).step_by(2);
    nearest(unknown, words).map(str::to_owned)
}

/// The word that is nearest to the unknown one, if any is near.
pub(super) fn nearest<'a>(unknown: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = words.map(|word| (strsim::jaro_winkler(unknown, word), word));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_where_one_is_near() {
        let slip = "unknown field `comand`, expected one of `command`, `output`";
        assert_eq!(meant(slip).as_deref(), Some("command"));
        let far = "unknown field `zzz`, expected `command` or `output`";
        assert_eq!(meant(far), None);
        assert_eq!(meant("missing field `name`"), None);
    }
}
