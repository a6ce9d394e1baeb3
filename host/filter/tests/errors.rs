//! What people read when an expression cannot be used or has no value for an event.

use sandbar_filter::{
    Compiled, Filter,
    cesql::{Expression, MAX_LENGTH, MAX_NESTING},
};
use sandbar_types::Event;

fn refused(text: &str) -> String {
    Expression::parse(text).expect_err(text).to_string()
}

#[test]
fn a_parse_error_shows_its_place() {
    assert_eq!(
        refused("type = 'a' OR"),
        "line 1, column 14: expected a value (an attribute, a literal, a function, NOT, EXISTS, - or a \
         parenthesis), found the end\n  type = 'a' OR\n               ^"
    );
    assert_eq!(
        refused("TRUE AND\n  LENGHT(größe) > 3"),
        "line 2, column 3: there is no function LENGHT; did you mean LENGTH?\n    LENGHT(größe) > 3\n    ^^^^^^"
    );
    assert_eq!(
        refused("LEFT(subject)"),
        "line 1, column 1: LEFT takes 2 arguments, not 1\n  LEFT(subject)\n  ^^^^"
    );
    let error = Expression::parse("'größe' == 1").expect_err("two signs");
    assert_eq!((error.offset(), error.line(), error.column()), (11, 1, 10));
    assert_eq!(error.message(), "there is no operator ==; write =");
    // Of a long line only what is around the place is shown.
    let long = format!("{}? {}", "1 + ".repeat(100), "+ 1 ".repeat(100));
    let shown = refused(&long);
    assert!(
        shown.starts_with("line 1, column 401: '?' is not allowed here\n  …"),
        "{shown}"
    );
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[1].ends_with('…') && lines[1].chars().count() < 100,
        "{shown}"
    );
    let caret = lines[2].chars().position(|c| c == '^').expect("a caret");
    assert_eq!(lines[1].chars().nth(caret), Some('?'), "{shown}");
}

#[test]
fn each_slip_is_told_what_to_write_instead() {
    for (text, said) in [
        ("", "expected a value"),
        ("   ", "expected a value"),
        ("a = = 1", "there is no operator =="),
        ("a && b", "write AND"),
        ("a || b", "write OR"),
        ("!a", "write NOT"),
        ("a LKE 'x'", "found LKE; did you mean LIKE?"),
        ("a IS NULL", "EXISTS name"),
        ("a BETWEEN 1 AND 2", "write x >= 1 AND x <= 9"),
        ("a LIKE b", "must be a string literal, found b"),
        ("a LIKE 5", "must be a string literal, found 5"),
        ("a LIKE ('x')", "must be a string literal, found ("),
        ("a IN 'x'", "expected ( and the elements"),
        ("a IN ()", "at least one element"),
        ("a NOT = 1", "expected LIKE or IN behind NOT, found ="),
        ("a b", "expected an operator or the end, found b"),
        ("(a", "expected an operator or ), found the end"),
        ("LENGTH(a", "expected an operator or ), found the end"),
        ("a)", "no parenthesis is open"),
        ("a, b", "a comma stands only between"),
        ("CONCAT(a,)", "expected a value"),
        ("EXISTS 'a'", "name of an attribute behind EXISTS"),
        ("EXISTS true", "name of an attribute behind EXISTS"),
        ("EXISTS(a)", "name of an attribute behind EXISTS"),
        ("and", "expected a value"),
        ("1.5 > a", "there are no fractions"),
        ("data.amount > 1", "not the data of an event"),
        ("data = 'x'", "not its data"),
        ("my_ext = 1", "it has '_'"),
        ("2147483648", "out of the range of integers"),
        ("- 2147483648", "out of the range of integers"),
        ("-2147483649", "-2147483649 is out of the range"),
        ("+ 5", "must stand right before digits"),
        ("+a", "must stand right before digits"),
        ("'abc", "no closing '"),
        (r"'abc\'", "does not end it"),
        ("'it''s'", "written with a backslash"),
        ("a = ‘x’", "write ' or \""),
        ("a = 1;", "no ; at its end"),
        ("a\u{a0}= 1", "U+00A0 is not allowed"),
        ("SUBSTRING(a)", "SUBSTRING takes 2 or 3 arguments, not 1"),
        ("CONCAT_WS()", "CONCAT_WS takes at least 1 argument, not 0"),
        ("SUBSTR(a, 1)", "did you mean SUBSTRING?"),
        ("XYZ(a)", "there is no function XYZ (there are INT, BOOL,"),
    ] {
        let found = refused(text);
        assert!(found.contains(said), "{text:?} was told\n{found}");
    }
}

#[test]
fn length_and_nesting_are_bounded_and_a_long_row_is_not_nesting() {
    let nested = |count: usize, open: &str, close: &str| {
        format!("{}TRUE{}", open.repeat(count), close.repeat(count))
    };
    for (open, close) in [
        ("(", ")"),
        ("NOT ", ""),
        ("-", ""),
        ("BOOL(", ")"),
        ("1 IN (", ")"),
        ("", " IN (TRUE)"),
        ("", " LIKE '%'"),
    ] {
        let most = nested(MAX_NESTING, open, close);
        assert!(Expression::parse(&most).is_ok(), "{most}");
        let more = nested(MAX_NESTING + 1, open, close);
        assert!(
            refused(&more).contains("nested more than 64 deep"),
            "{more}"
        );
        let count = (MAX_LENGTH - 4) / (open.len() + close.len());
        assert!(
            refused(&nested(count, open, close)).contains("nested"),
            "{open}"
        );
    }
    let parentheses = nested(10_000, "(", "");
    assert!(refused(&parentheses).contains("nested more than 64 deep"));
    assert!(refused(&"(".repeat(MAX_LENGTH + 1)).contains("at most 16384 are allowed"));

    let row = format!("0{}", "+1".repeat((MAX_LENGTH - 1) / 2));
    let sum = Expression::parse(&row).expect("a long row");
    let event = Event::default();
    let said = sum.evaluate(&event);
    assert_eq!(said.value, sandbar_filter::Value::Integer(8191));
    let row = format!("TRUE{}", " AND TRUE".repeat(1800));
    assert!(
        Expression::parse(&row)
            .expect("a long row")
            .takes(&Event::default())
    );
}

#[test]
fn a_text_that_grows_too_long_is_an_error() {
    let event = Event {
        subject: "x".repeat(1000),
        ..Event::default()
    };
    let thousand = format!("LENGTH(CONCAT({}subject)) > 0", "subject, ".repeat(1047));
    let expression = Expression::parse(&thousand).expect("valid");
    assert!(expression.takes(&event));
    let more = format!("LENGTH(CONCAT({}subject)) > 0", "subject, ".repeat(1048));
    let expression = Expression::parse(&more).expect("valid");
    let said = expression.evaluate(&event);
    let error = said.error.expect("an error").to_string();
    assert_eq!(
        error,
        "GenericError: the expression makes a text of more than 1048576 bytes"
    );
}

#[test]
fn evaluation_errors_name_what_they_met() {
    let event = Event {
        id: "abc".into(),
        ..Event::default()
    };
    for (text, said) in [
        (
            "price > 1",
            "MissingAttributeError: the event has no attribute \"price\"",
        ),
        ("id > 1", "CastError: \"abc\" cannot be read as an Integer"),
        ("NOT id", "CastError: \"abc\" cannot be read as a Boolean"),
        ("5 / 0", "MathError: 5 / 0 has no result"),
        ("5 % 0", "MathError: 5 % 0 has no result"),
        (
            "2147483647 + 1",
            "MathError: the result of 2147483647 + 1 needs more than 32 bits",
        ),
        (
            "-(-2147483648)",
            "MathError: the result of -(-2147483648) needs more than 32 bits",
        ),
        (
            "ABS(-2147483648)",
            "MathError: the result of ABS(-2147483648) needs more than 32 bits",
        ),
        (
            "LEFT(id, -1)",
            "FunctionEvaluationError: LEFT: the number of characters is negative",
        ),
        (
            "SUBSTRING(id, 9)",
            "FunctionEvaluationError: SUBSTRING: the position is outside of the text",
        ),
    ] {
        let expression = Expression::parse(text).expect("valid");
        let error = expression.evaluate(&event).error.expect("an error");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn filters_of_sql_are_refused_with_place_and_caret() {
    let compile = |json: &str| {
        let filters: Vec<Filter> = serde_json::from_str(json).expect("shape");
        Compiled::all(&filters)
    };
    let error = compile(r#"[{"any":[{"exact":{"id":"1"}},{"sql":"id = LOWR('X')"}]}]"#)
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "/0/any/1/sql: line 1, column 6: there is no function LOWR; did you mean LOWER?\n  id = LOWR('X')\n       ^^^^"
    );
    let error = compile(r#"[{"sql":"LENGTH(id)"}]"#).expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("/0/sql: the expression gives an Integer"),
        "{error}"
    );
    assert!(serde_json::from_str::<Filter>(r#"{"sql":5}"#).is_err());

    // An error makes the filter false, and a `not` around it true.
    let event = Event {
        id: "1".into(),
        ..Event::default()
    };
    assert!(
        !compile(r#"[{"sql":"price > 1"}]"#)
            .expect("valid")
            .takes(&event)
    );
    assert!(
        compile(r#"[{"not":{"sql":"price > 1"}}]"#)
            .expect("valid")
            .takes(&event)
    );
    assert!(
        !compile(r#"[{"sql":"NOT (price > 1)"}]"#)
            .expect("valid")
            .takes(&event)
    );
    assert!(
        compile(r#"[{"sql":"id = 1"}]"#)
            .expect("valid")
            .takes(&event)
    );
    // A value that is not a Boolean is not true.
    assert!(!compile(r#"[{"sql":"id"}]"#).expect("valid").takes(&event));
}
