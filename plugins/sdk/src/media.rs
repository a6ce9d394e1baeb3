//! Media types of data, as far as plugins need them.

/// Whether a media type carries JSON: `application/json`, `*/json`, `*+json`, or the empty text,
/// because data without a `datacontenttype` is JSON (CloudEvents JSON format §3.1).
#[must_use]
pub fn is_json(datacontenttype: &str) -> bool {
    if datacontenttype.is_empty() || datacontenttype == "application/json" {
        return true;
    }
    let essence = datacontenttype.split(';').next().unwrap_or_default().trim();
    ["/json", "+json"].iter().any(|end| {
        let tail = essence
            .len()
            .checked_sub(end.len())
            .and_then(|at| essence.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_the_media_type() {
        for json in [
            "",
            "application/json",
            "text/JSON; charset=utf-8",
            "application/ld+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/csv",
            "application/xml",
            "json",
            "application/json-seq",
            "é",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
