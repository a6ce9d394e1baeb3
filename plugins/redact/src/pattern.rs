//! JSON Pointers (RFC 6901) in which `*` stands for any one segment and `**` for any number of them.
//!
//! All patterns are followed at once on the way down: a [`State`] is what is left of each of them at
//! one value.

/// One pattern.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Segment>);

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    /// The member of this name, or the item at this index.
    Name(String),
    /// `*`
    Any,
    /// `**`
    Deep,
}

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("{text:?} does not begin with /"));
        };
        let segments: Result<Vec<_>, String> = rest.split('/').map(Segment::parse).collect();
        let segments = segments?;
        if segments.last() == Some(&Segment::Deep) {
            return Err(format!(
                "{text:?} ends with **; name the field itself, or end with **/* for all below"
            ));
        }
        Ok(Self(segments))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => return Ok(Self::Any),
            "**" => return Ok(Self::Deep),
            _ => {}
        }
        let mut name = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match (next, next == '~') {
                (_, true) => match rest.next() {
                    Some('0') => name.push('~'),
                    Some('1') => name.push('/'),
                    _ => return Err(format!("{text:?} has a ~ that is neither ~0 nor ~1")),
                },
                (other, false) => name.push(other),
            }
        }
        Ok(Self::Name(name))
    }
}

/// The patterns of all rules.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<(usize, Pattern)>);

/// For each pattern that may still match below: its index, and how many segments are behind.
pub(crate) type State = Vec<(usize, usize)>;

impl Patterns {
    pub(crate) fn add(&mut self, rule: usize, pattern: Pattern) {
        self.0.push((rule, pattern));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The state at the whole of the data.
    pub(crate) fn start(&self) -> State {
        let mut state = State::new();
        for index in 0..self.0.len() {
            self.enter(index, 0, &mut state);
        }
        state
    }

    /// The state at a member or item of a value. Rules that match there are told to `matched`.
    pub(crate) fn step(&self, state: &State, name: &str, mut matched: impl FnMut(usize)) -> State {
        let mut next = State::new();
        for &(index, at) in state {
            let (rule, Pattern(segments)) = &self.0[index];
            let behind = match &segments[at] {
                Segment::Name(wanted) if wanted != name => continue,
                Segment::Name(_) | Segment::Any => at + 1,
                Segment::Deep => at,
            };
            if behind == segments.len() {
                matched(*rule);
            } else {
                self.enter(index, behind, &mut next);
            }
        }
        next
    }

    /// Adds a place in a pattern, and those behind it that `**` makes possible by standing for
    /// nothing. No pattern ends with `**`, so none of them is the end.
    fn enter(&self, index: usize, mut at: usize, state: &mut State) {
        loop {
            if state.contains(&(index, at)) {
                return;
            }
            state.push((index, at));
            if self.0[index].1.0[at] != Segment::Deep {
                return;
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &[&str]) -> bool {
        let mut patterns = Patterns::default();
        patterns.add(0, Pattern::parse(pattern).unwrap());
        let mut state = patterns.start();
        let mut found = false;
        for name in path {
            found = false;
            state = patterns.step(&state, name, |_| found = true);
        }
        found
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        for (pattern, path, wanted) in [
            ("/a", &["a"][..], true),
            ("/a", &["b"], false),
            ("/a", &["a", "a"], false),
            ("/a/*/b", &["a", "0", "b"], true),
            ("/a/*/b", &["a", "b"], false),
            ("/**/b", &["b"], true),
            ("/**/b", &["a", "x", "b"], true),
            ("/**/b", &["b", "c"], false),
            ("/**/b", &["b", "b"], true),
            ("/a/**/b/*", &["a", "b", "c"], true),
            ("/a/**/b/*", &["a", "b", "b", "b"], true),
            ("/a/**/b/*", &["x", "b", "c"], false),
            ("/**/**/b", &["b"], true),
            ("/**/*", &["a", "b", "c"], true),
            ("/a~1b/~0", &["a/b", "~"], true),
            ("/", &[""], true),
        ] {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "a", "/a/**", "/**", "/a~2", "/~"] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
