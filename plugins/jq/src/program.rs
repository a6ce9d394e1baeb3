//! A jq program: compiled once, run on one value at a time. Knows nothing of events.
//!
//! The language is that of jaq with its whole library, but for what would make an output depend on
//! anything else than its input, or would end the run from inside: see [`ABSENT`].

use jaq_core::{
    Compiler, Ctx, Error, Filter, Vars,
    compile::Undefined,
    data::JustLut,
    load::{self, Arena, File, Loader},
    native::{self, Fun},
};
use jaq_json::Val;

type Data = JustLut<Val>;

/// The variable that holds the event's attributes.
const EVENT: &str = "$event";

/// Names that jq has and that are not offered, and why.
const ABSENT: &[(&str, &str)] = &[
    ("now", NOT_DETERMINISTIC),
    ("localtime", NOT_DETERMINISTIC),
    ("strflocaltime", NOT_DETERMINISTIC),
    ("env", NOT_DETERMINISTIC),
    ("$ENV", NOT_DETERMINISTIC),
    ("input", ONE_EVENT),
    ("inputs", ONE_EVENT),
    ("input_filename", ONE_EVENT),
    ("input_line_number", ONE_EVENT),
    ("halt", NO_HALT),
    ("halt_error", NO_HALT),
];
const NOT_DETERMINISTIC: &str = "an output depends on the event and the config alone";
const ONE_EVENT: &str = "the program sees one event at a time";
const NO_HALT: &str = "use empty to drop an event, error(\"…\") to reject it";

/// What jaq's library brings besides, and what is put in its place here.
const REPLACED: &[&str] = &["debug_empty", "stderr_empty"];

/// The longest text that goes into a log line or a reason, in characters.
const LONGEST_MESSAGE: usize = 1000;
/// The most errors of a program that are told at once.
const MOST_ERRORS: usize = 3;

/// A program that can be run.
pub(crate) struct Program {
    filter: Filter<Data>,
    uses_event: bool,
}

impl Program {
    /// Compiles a program.
    ///
    /// # Errors
    /// What is wrong with it, each with line and column.
    pub(crate) fn compile(code: &str) -> Result<Self, String> {
        let arena = Arena::default();
        let modules = Loader::new(definitions())
            .load(&arena, File { code, path: () })
            .map_err(|errors| {
                let errors = errors.into_iter().map(|(_, error)| error);
                told(errors.flat_map(|error| syntax(code, error)))
            })?;
        let filter = Compiler::default()
            .with_funs(functions())
            .with_global_vars([EVENT])
            .compile(modules)
            .map_err(|errors| {
                let errors = errors.into_iter().flat_map(|(_, errors)| errors);
                told(errors.map(|(name, kind)| undefined(code, name, &kind)))
            })?;
        Ok(Self {
            filter,
            uses_event: code.contains(EVENT),
        })
    }

    /// Whether the program may look at `$event`.
    pub(crate) fn uses_event(&self) -> bool {
        self.uses_event
    }

    /// The values that the program gives for `input`, one after the other. An error is the last.
    pub(crate) fn run(
        &self,
        input: Val,
        event: Val,
    ) -> impl Iterator<Item = Result<Val, String>> + use<'_> {
        let context = Ctx::<Data>::new(&self.filter.lut, Vars::new([event]));
        let mut values = self.filter.id.run((context, input));
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let value = values
                .next()?
                .map_err(|exception| match exception.get_err() {
                    Ok(error) => message(error),
                    Err(_) => "the program broke off".to_owned(),
                });
            failed = value.is_err();
            Some(value)
        })
    }
}

fn is_absent(name: &str) -> bool {
    ABSENT.iter().any(|(absent, _)| *absent == name)
}

/// What is defined in jq itself.
fn definitions() -> impl Iterator<Item = load::parse::Def<&'static str>> {
    let own = load::parse(include_str!("definitions.jq"), |parser| parser.defs());
    let all = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .chain(own.unwrap_or_default());
    all.filter(|definition| !is_absent(definition.name))
}

/// What is defined in Rust.
fn functions() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs::<Data>()
        .chain(jaq_std::funs::<Data>())
        .chain(jaq_json::funs::<Data>());
    let log = REPLACED.iter().map(|name| {
        native::run::<Data>((name, native::v(0), |cv| {
            sandbar_sdk::log::debug(text(&cv.1));
            Box::new(std::iter::empty())
        }))
    });
    all.filter(|(name, ..)| !is_absent(name) && !REPLACED.contains(name))
        .chain(log)
}

fn told(errors: impl Iterator<Item = String>) -> String {
    let errors: Vec<String> = errors.take(MOST_ERRORS).collect();
    format!("program: {}", errors.join("; "))
}

fn syntax(code: &str, error: load::Error<&str>) -> Vec<String> {
    match error {
        load::Error::Io(errors) => errors
            .into_iter()
            .map(|(path, _)| format!("{}no modules can be loaded: {path:?}", place(code, path)))
            .collect(),
        load::Error::Lex(errors) => errors
            .into_iter()
            .map(|(expected, found)| unexpected(code, expected.as_str(), found))
            .collect(),
        load::Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, found)| unexpected(code, expected.as_str(), found))
            .collect(),
    }
}

fn unexpected(code: &str, expected: &str, found: &str) -> String {
    let place = place(code, found);
    match found.split_whitespace().next() {
        None => format!("{place}expected {expected}, found the end"),
        Some(word) => {
            let word: String = word.chars().take(20).collect();
            format!("{place}expected {expected}, found {word:?}")
        }
    }
}

fn undefined(code: &str, name: &str, kind: &Undefined) -> String {
    let place = place(code, name);
    if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
        return format!("{place}{name} is not offered: {why}");
    }
    match kind {
        Undefined::Filter(0) => format!("{place}there is no function {name}"),
        Undefined::Filter(1) => format!("{place}there is no function {name} of one argument"),
        Undefined::Filter(count) => {
            format!("{place}there is no function {name} of {count} arguments")
        }
        other => format!("{place}there is no {} {name}", other.as_str()),
    }
}

/// `line 1, column 5: ` of a part of the program, both counted from 1, columns in characters.
fn place(code: &str, part: &str) -> String {
    let offset = (part.as_ptr() as usize).checked_sub(code.as_ptr() as usize);
    let Some(before) = offset.and_then(|offset| code.get(..offset)) else {
        return String::new();
    };
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    format!("line {line}, column {}: ", last.chars().count() + 1)
}

/// What a program says with `error(…)`, or jaq of a program that fails.
fn message(error: Error<Val>) -> String {
    text(&error.into_val())
}

/// A value in words: a text as it is, all else as JSON.
fn text(value: &Val) -> String {
    let text = match value {
        Val::TStr(text) => String::from_utf8_lossy(text).into_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
