//! Text to tokens, one at a time. Whether a word is a keyword, a function or an attribute is the
//! parser's business.

use super::{ErrorKind, ParseError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// Letters, digits and underscores.
    Word(&'s str),
    /// A string literal's value.
    Text(String),
    /// An operator or punctuation mark.
    Symbol(&'static str),
    End,
}

/// A token and the bytes it has in the text.
#[derive(Clone, Debug)]
pub(super) struct Placed<'s> {
    pub token: Token<'s>,
    pub from: usize,
    pub to: usize,
}

/// The longer ones first.
const SYMBOLS: [&str; 14] = [
    "!=", "<>", "<=", ">=", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/",
];

pub(super) struct Lexer<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub fn new(text: &'s str) -> Self {
        Self { text, at: 0 }
    }

    pub fn text(&self) -> &'s str {
        self.text
    }

    /// What follows the last token.
    pub fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    pub fn next(&mut self) -> Result<Placed<'s>, ParseError> {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        self.at = self.text.len() - self.rest().trim_start_matches(blank).len();
        let from = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(self.placed(Token::End, from));
        };
        if is_word(first) {
            let rest = self.rest();
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            self.at += length;
            return Ok(self.placed(Token::Word(&rest[..length]), from));
        }
        if matches!(first, '\'' | '"') {
            let text = self.string(first)?;
            return Ok(self.placed(Token::Text(text), from));
        }
        if first == '%' {
            self.at += 1;
            return Ok(self.placed(Token::Symbol("%"), from));
        }
        for symbol in SYMBOLS {
            if self.rest().starts_with(symbol) {
                self.at += symbol.len();
                return Ok(self.placed(Token::Symbol(symbol), from));
            }
        }
        Err(self.fault(from, from + first.len_utf8(), stray(first, self.rest())))
    }

    fn placed(&self, token: Token<'s>, from: usize) -> Placed<'s> {
        Placed {
            token,
            from,
            to: self.at,
        }
    }

    fn fault(&self, from: usize, to: usize, message: String) -> ParseError {
        ParseError::new(ErrorKind::Parse, self.text, from, to, message)
    }

    /// A string literal from its opening quote on. A backslash and the character behind it belong
    /// together; they stand for themselves unless that character is the enclosing quote.
    fn string(&mut self, quote: char) -> Result<String, ParseError> {
        let from = self.at;
        let mut value = String::new();
        let mut escaped = false;
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, found)) = chars.next() {
            if found == quote {
                self.at += at + quote.len_utf8();
                return Ok(value);
            }
            if found != '\\' {
                value.push(found);
                continue;
            }
            match chars.next() {
                Some((_, next)) if next == quote => {
                    escaped = true;
                    value.push(quote);
                }
                Some((_, next)) => value.extend(['\\', next]),
                None => break,
            }
        }
        let hint = if escaped {
            format!("; note that \\{quote} is a quote inside of the string and does not end it")
        } else {
            String::new()
        };
        Err(self.fault(
            from,
            from + 1,
            format!("the string that starts here has no closing {quote}{hint}"),
        ))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What to say of a character that starts nothing.
fn stray(found: char, rest: &str) -> String {
    match found {
        '&' => "there is no operator &; write AND".to_owned(),
        '|' => "there is no operator |; write OR, or CONCAT(…) to join texts".to_owned(),
        '!' => "there is no operator !; write NOT, or != for unequal".to_owned(),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            "numbers are integers; there are no fractions".to_owned()
        }
        '.' => {
            "names have no dots; an expression sees attributes, not the data of an event".to_owned()
        }
        ';' => "an expression has no ; at its end".to_owned(),
        '‘' | '’' | '“' | '”' | '`' => {
            format!("{found} is no quote here; write ' or \" around a string")
        }
        _ if found.is_whitespace() || found.is_control() => {
            format!("the character U+{:04X} is not allowed here", found as u32)
        }
        _ => format!("{found:?} is not allowed here"),
    }
}
