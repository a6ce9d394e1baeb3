//! Tokens to a tree, by the grammar of CESQL 1.0 §2 and the precedence of §3.6. Recurses once per
//! nested part and never deeper than [`MAX_NESTING`].

use super::{
    ErrorKind, MAX_LENGTH, MAX_NESTING, ParseError,
    ast::{Expr, Level, Operator, Set},
    functions::Function,
    lexer::{Lexer, Placed, Token},
    like::Pattern,
};
use crate::{Attribute, Value, nearest};

const KEYWORDS: [&str; 9] = [
    "AND", "OR", "XOR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "FALSE",
];
/// Words that may follow a value.
const INFIX: [&str; 6] = ["AND", "OR", "XOR", "NOT LIKE", "LIKE", "IN"];

const VALUE: &str =
    "a value (an attribute, a literal, a function, NOT, EXISTS, - or a parenthesis)";

pub(super) fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(
            ErrorKind::Parse,
            text,
            0,
            0,
            format!(
                "the expression has {} bytes; at most {MAX_LENGTH} are allowed",
                text.len()
            ),
        ));
    }
    let mut lexer = Lexer::new(text);
    let next = lexer.next()?;
    let mut parser = Parser {
        lexer,
        next,
        nesting: 0,
    };
    let expr = parser.chain(Level::Logic)?;
    if parser.next.token == Token::End {
        Ok(expr)
    } else {
        Err(parser.no_operator())
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The token to look at.
    next: Placed<'s>,
    nesting: usize,
}

impl<'s> Parser<'s> {
    fn advance(&mut self) -> Result<Placed<'s>, ParseError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn fault(&self, at: &Placed<'_>, message: impl Into<String>) -> ParseError {
        ParseError::new(ErrorKind::Parse, self.lexer.text(), at.from, at.to, message)
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = found(&self.next.token);
        self.fault(&self.next, format!("expected {what}, found {found}"))
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.next.token, Token::Symbol(found) if found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.next.token, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn expect(&mut self, symbol: &'static str, what: &str) -> Result<(), ParseError> {
        if !self.is_symbol(symbol) {
            return Err(self.expected(what));
        }
        self.advance().map(drop)
    }

    /// Parses a part that stands inside of another.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.deeper()?;
        let parsed = parse(self)?;
        self.nesting -= 1;
        Ok(parsed)
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.fault(
                &self.next,
                format!("the expression is nested more than {MAX_NESTING} deep here"),
            ));
        }
        Ok(())
    }

    /// Operators of this level and what binds tighter.
    fn chain(&mut self, level: Level) -> Result<Expr, ParseError> {
        let first = self.tighter(level)?;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator(level) {
            self.advance()?;
            if operator == Operator::Equal && self.is_symbol("=") {
                return Err(self.fault(&self.next, "there is no operator ==; write ="));
            }
            rest.push((operator, self.tighter(level)?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Expr::Chain {
                first: Box::new(first),
                rest: rest.into(),
            }
        })
    }

    fn tighter(&mut self, level: Level) -> Result<Expr, ParseError> {
        match level {
            Level::Logic => self.chain(Level::Comparison),
            Level::Comparison => self.chain(Level::Sum),
            Level::Sum => self.chain(Level::Product),
            _ => self.postfix(),
        }
    }

    /// The operator that stands here, if it is of this level.
    fn operator(&self, level: Level) -> Option<Operator> {
        let operator = match &self.next.token {
            Token::Symbol(symbol) => match *symbol {
                "=" => Operator::Equal,
                "!=" | "<>" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "+" => Operator::Add,
                "-" => Operator::Subtract,
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                "%" => Operator::Remainder,
                _ => return None,
            },
            Token::Word(word) if word.eq_ignore_ascii_case("AND") => Operator::And,
            Token::Word(word) if word.eq_ignore_ascii_case("OR") => Operator::Or,
            Token::Word(word) if word.eq_ignore_ascii_case("XOR") => Operator::Xor,
            _ => return None,
        };
        (operator.level() == level).then_some(operator)
    }

    /// A value, and LIKE and IN behind it. Each of them stands around what is before it, so they
    /// count as nesting.
    fn postfix(&mut self) -> Result<Expr, ParseError> {
        let outside = self.nesting;
        let mut target = self.unary()?;
        loop {
            let negated = self.is_word("NOT");
            if negated {
                self.advance()?;
            }
            if self.is_word("LIKE") {
                self.advance()?;
                self.deeper()?;
                target = Expr::Like {
                    target: Box::new(target),
                    negated,
                    pattern: self.pattern()?,
                };
            } else if self.is_word("IN") {
                self.advance()?;
                self.deeper()?;
                self.expect("(", "( and the elements of the set")?;
                if self.is_symbol(")") {
                    return Err(self.fault(&self.next, "a set must have at least one element"));
                }
                target = Expr::In {
                    target: Box::new(target),
                    negated,
                    set: Set::new(self.list()?),
                };
            } else if negated {
                return Err(self.expected("LIKE or IN behind NOT"));
            } else {
                self.nesting = outside;
                return Ok(target);
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        let Token::Text(text) = &self.next.token else {
            return Err(self.expected("the pattern of LIKE, which must be a string literal"));
        };
        let pattern = Pattern::new(text);
        self.advance()?;
        Ok(pattern)
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        if self.is_word("NOT") {
            self.advance()?;
            return Ok(Expr::Not(Box::new(self.nested(Self::unary)?)));
        }
        let negative = self.is_symbol("-");
        if negative || self.is_symbol("+") {
            let sign = self.advance()?;
            if let Token::Word(word) = self.next.token
                && self.next.from == sign.to
                && is_number(word)
            {
                return self.integer(word, negative);
            }
            if !negative {
                return Err(self.fault(&sign, "a + here must stand right before digits"));
            }
            return Ok(Expr::Negate(Box::new(self.nested(Self::unary)?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        match &self.next.token {
            Token::Text(text) => {
                let text = text.clone();
                self.advance()?;
                Ok(Expr::Literal(Value::String(text.into())))
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.nested(|parser| parser.chain(Level::Logic))?;
                if !self.is_symbol(")") {
                    return Err(self.unclosed());
                }
                self.advance()?;
                Ok(inner)
            }
            Token::Word(word) => self.word(word),
            _ => Err(self.expected(VALUE)),
        }
    }

    fn word(&mut self, word: &'s str) -> Result<Expr, ParseError> {
        let keyword = KEYWORDS
            .into_iter()
            .find(|keyword| word.eq_ignore_ascii_case(keyword));
        match keyword {
            Some("TRUE") => return self.advance().map(|_| Expr::Literal(Value::Boolean(true))),
            Some("FALSE") => return self.advance().map(|_| Expr::Literal(Value::Boolean(false))),
            Some("EXISTS") => {
                self.advance()?;
                return self.exists();
            }
            Some(_) => return Err(self.expected(VALUE)),
            None => {}
        }
        if is_number(word) {
            return self.integer(word, false);
        }
        let placed = self.advance()?;
        if self.is_symbol("(") {
            return self.call(word, &placed);
        }
        self.attribute(word, &placed).map(Expr::Attribute)
    }

    fn exists(&mut self) -> Result<Expr, ParseError> {
        match self.next.token {
            Token::Word(word) if !KEYWORDS.iter().any(|k| word.eq_ignore_ascii_case(k)) => {
                let placed = self.advance()?;
                self.attribute(word, &placed).map(Expr::Exists)
            }
            _ => Err(self.expected("the name of an attribute behind EXISTS")),
        }
    }

    fn attribute(&self, word: &str, placed: &Placed<'_>) -> Result<Attribute, ParseError> {
        Attribute::new(&word.to_ascii_lowercase()).map_err(|reason| self.fault(placed, reason))
    }

    fn integer(&mut self, digits: &str, negative: bool) -> Result<Expr, ParseError> {
        // Read with its sign, because the least integer has no positive twin.
        let sign = if negative { "-" } else { "" };
        let Ok(value) = format!("{sign}{digits}").parse() else {
            return Err(self.fault(
                &self.next,
                format!(
                    "{sign}{} is out of the range of integers, which is {} to {}",
                    shortened(digits),
                    i32::MIN,
                    i32::MAX
                ),
            ));
        };
        self.advance()?;
        Ok(Expr::Literal(Value::Integer(value)))
    }

    /// A function from its opening parenthesis on.
    fn call(&mut self, name: &str, placed: &Placed<'_>) -> Result<Expr, ParseError> {
        let missing = |message| {
            ParseError::new(
                ErrorKind::MissingFunction,
                self.lexer.text(),
                placed.from,
                placed.to,
                message,
            )
        };
        let Some(function) = Function::named(name) else {
            let upper = name.to_ascii_uppercase();
            let names = Function::ALL.map(Function::name);
            let known = names.into_iter().chain(KEYWORDS);
            let meant = nearest(&upper, known).map_or_else(
                || format!(" (there are {})", names.join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            return Err(missing(format!(
                "there is no function {}{meant}",
                shortened(name)
            )));
        };
        self.advance()?;
        let arguments = if self.is_symbol(")") {
            self.advance()?;
            Vec::new()
        } else {
            self.nested(Self::list)?
        };
        let (least, most) = function.arity();
        let given = arguments.len();
        if given < least || most.is_some_and(|most| given > most) {
            let takes = match most {
                None => format!("at least {least}"),
                Some(most) if most > least => format!("{least} or {most}"),
                Some(_) => least.to_string(),
            };
            let noun = if takes.ends_with('1') {
                "argument"
            } else {
                "arguments"
            };
            return Err(ParseError::new(
                ErrorKind::MissingFunction,
                self.lexer.text(),
                placed.from,
                placed.to,
                format!("{} takes {takes} {noun}, not {given}", function.name()),
            ));
        }
        Ok(Expr::Call {
            function,
            arguments: arguments.into(),
        })
    }

    /// Expressions with commas between them, up to and with the closing parenthesis.
    fn list(&mut self) -> Result<Vec<Expr>, ParseError> {
        let mut list = vec![self.chain(Level::Logic)?];
        loop {
            if self.is_symbol(")") {
                self.advance()?;
                return Ok(list);
            }
            if !self.is_symbol(",") {
                return Err(self.unclosed());
            }
            self.advance()?;
            list.push(self.chain(Level::Logic)?);
        }
    }

    /// Something stands where a parenthesis could be closed.
    fn unclosed(&self) -> ParseError {
        match self.next.token {
            Token::End | Token::Symbol(_) => self.expected("an operator or )"),
            _ => self.no_operator(),
        }
    }

    /// Something stands where an expression could go on or end.
    fn no_operator(&self) -> ParseError {
        let hint = match &self.next.token {
            Token::Word(word) => match &*word.to_ascii_uppercase() {
                "IS" => "; write EXISTS name or NOT EXISTS name".to_owned(),
                "BETWEEN" => "; write x >= 1 AND x <= 9".to_owned(),
                word => nearest(word, INFIX)
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default(),
            },
            Token::Text(_) => {
                "; in a string, a quote is written with a backslash before it".to_owned()
            }
            Token::Symbol(")") => "; no parenthesis is open".to_owned(),
            Token::Symbol(",") => "; a comma stands only between arguments or elements".to_owned(),
            _ => String::new(),
        };
        let found = found(&self.next.token);
        self.fault(
            &self.next,
            format!("expected an operator or the end, found {found}{hint}"),
        )
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

fn found(token: &Token<'_>) -> String {
    match token {
        Token::Word(word) => shortened(word),
        Token::Text(text) => format!("the string {:?}", shortened(text)),
        Token::Symbol(symbol) => (*symbol).to_owned(),
        Token::End => "the end".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start}…")
}
