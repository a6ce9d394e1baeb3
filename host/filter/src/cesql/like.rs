//! Patterns of LIKE (CESQL 1.0 §3.4.3): `%` is any number of characters, `_` is one, and `\%` and
//! `\_` are themselves.

/// A pattern, split at its `%` once.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    source: Box<str>,
    /// What stands before, between and behind the `%`; at least one.
    segments: Box<[Segment]>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

#[derive(Clone, Debug)]
enum Segment {
    Text(Box<str>),
    /// With at least one `_`, which is nothing here.
    Holes(Box<[Option<char>]>),
}

impl Pattern {
    pub fn new(source: &str) -> Self {
        let mut segments = Vec::new();
        let mut open: Vec<Option<char>> = Vec::new();
        let mut chars = source.chars().peekable();
        while let Some(found) = chars.next() {
            match found {
                '%' => segments.push(Segment::new(std::mem::take(&mut open))),
                '_' => open.push(None),
                '\\' => open.push(Some(
                    chars.next_if(|c| matches!(c, '%' | '_')).unwrap_or('\\'),
                )),
                other => open.push(Some(other)),
            }
        }
        segments.push(Segment::new(open));
        Self {
            source: source.into(),
            segments: segments.into(),
        }
    }

    /// The pattern as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Takes time in the length of the text for patterns without `_`, and in the product of both
    /// lengths at worst.
    pub fn matches(&self, text: &str) -> bool {
        let [first, rest @ ..] = &*self.segments else {
            return text.is_empty();
        };
        let Some(mut text) = first.strip_start(text) else {
            return false;
        };
        let [middle @ .., last] = rest else {
            return text.is_empty();
        };
        text = match last.strip_end(text) {
            Some(text) => text,
            None => return false,
        };
        // The first place is as good as any later one, because what follows is free.
        for segment in middle {
            text = match segment.strip_first(text) {
                Some(text) => text,
                None => return false,
            };
        }
        true
    }
}

impl Segment {
    fn new(characters: Vec<Option<char>>) -> Self {
        match characters.iter().copied().collect::<Option<String>>() {
            Some(text) => Self::Text(text.into()),
            None => Self::Holes(characters.into()),
        }
    }

    /// What follows the segment at the start of the text.
    fn strip_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(start) => text.strip_prefix(&**start),
            Self::Holes(holes) => {
                let mut chars = text.chars();
                holes
                    .iter()
                    .all(|hole| fits(*hole, chars.next()))
                    .then_some(chars.as_str())
            }
        }
    }

    /// What stands before the segment at the end of the text.
    fn strip_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(end) => text.strip_suffix(&**end),
            Self::Holes(holes) => {
                let mut chars = text.chars();
                holes
                    .iter()
                    .rev()
                    .all(|hole| fits(*hole, chars.next_back()))
                    .then_some(chars.as_str())
            }
        }
    }

    /// What follows the first place of the segment in the text.
    fn strip_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(middle) => text.find(&**middle).map(|at| &text[at + middle.len()..]),
            Self::Holes(_) => {
                let starts = text.char_indices().map(|(at, _)| &text[at..]);
                starts.into_iter().find_map(|from| self.strip_start(from))
            }
        }
    }
}

fn fits(hole: Option<char>, found: Option<char>) -> bool {
    match (hole, found) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(found)) => wanted == found,
    }
}
