//! What holds for any text and any expression.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sandbar_filter::{
    Value,
    cesql::{ErrorKind, Expression},
};
use sandbar_types::{AttributeValue, Event};

/// Expressions as text, of every form of the grammar, with attributes that the event below has or
/// has not.
fn expression() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        Just("''".to_owned()),
        Just("'true'".to_owned()),
        Just("'42'".to_owned()),
        Just(r"'a\'\\'".to_owned()),
        Just(r#""it's\\ \"so\" \'""#.to_owned()),
        Just("'größe%_'".to_owned()),
        "'[a-c%_ ]{0,6}'",
    ];
    let atom = prop_oneof![
        Just("TRUE".to_owned()),
        Just("false".to_owned()),
        any::<i32>().prop_map(|value| value.to_string()),
        (-3..3_i32).prop_map(|value| value.to_string()),
        string.clone(),
        prop::sample::select(vec!["id", "subject", "number", "flag", "absent", "1a"])
            .prop_map(str::to_owned),
        prop::sample::select(vec!["id", "subject", "absent"])
            .prop_map(|name| format!("EXISTS {name}")),
    ];
    atom.prop_recursive(5, 60, 4, move |inner| {
        let operator = prop::sample::select(vec![
            "AND", "or", "XOR", "=", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%",
        ]);
        let one = prop::sample::select(vec![
            "INT", "BOOL", "STRING", "IS_INT", "is_bool", "ABS", "LENGTH", "LOWER", "UPPER", "TRIM",
        ]);
        let two = prop::sample::select(vec!["LEFT", "RIGHT", "SUBSTRING", "CONCAT", "CONCAT_WS"]);
        let three = prop::sample::select(vec!["SUBSTRING", "CONCAT", "CONCAT_WS"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("NOT {a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            (inner.clone(), string.clone()).prop_map(|(a, p)| format!("{a} LIKE {p}")),
            (inner.clone(), string.clone()).prop_map(|(a, p)| format!("({a}) NOT LIKE {p}")),
            (inner.clone(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(a, set)| format!("{a} IN ({})", set.join(", "))),
            (inner.clone(), string.clone(), string.clone())
                .prop_map(|(a, x, y)| format!("({a}) NOT IN ({x}, {y})")),
            (one, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (two, inner.clone(), inner.clone()).prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            (three, inner.clone(), inner.clone(), inner)
                .prop_map(|(f, a, b, c)| format!("{f}({a}, {b}, {c})")),
        ]
    })
}

fn event() -> Event {
    Event {
        id: "7".into(),
        subject: "größe".into(),
        extensions: BTreeMap::from([
            ("number".into(), AttributeValue::Integer(-3)),
            ("flag".into(), AttributeValue::Boolean(true)),
            ("1a".into(), AttributeValue::String("TRUE".into())),
        ]),
        ..Event::default()
    }
}

/// The value, or the kind of the error.
fn outcome(text: &str) -> Result<String, ErrorKind> {
    let expression = Expression::parse(text).expect("valid");
    let event = event();
    let said = expression.evaluate(&event);
    match said.error {
        None => Ok(format!("{:?}", said.value)),
        Some(error) => Err(error.kind()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(error.offset() <= text.len());
            prop_assert!(text.is_char_boundary(error.offset()));
            let _ = error.to_string();
        }
    }

    #[test]
    fn no_row_of_tokens_makes_the_parser_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "AND", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "(", ")", ",", "=", "<>", "-", "+", "5", "a",
            "'x'", "\"y", "LEFT", "CONCAT", "\n", "\\", "é", "'%_'", "!", "-2147483648",
        ]), 0..12),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        if let Ok(expression) = Expression::parse(&tokens.join(glue)) {
            let _ = expression.evaluate(&event());
        }
    }

    #[test]
    fn an_expression_is_read_again_from_its_own_writing(text in expression()) {
        let expression = Expression::parse(&text);
        prop_assert!(expression.is_ok(), "{text}: {expression:?}");
        let expression = expression.expect("checked");
        let written = expression.to_string();
        let again = Expression::parse(&written);
        prop_assert_eq!(again.as_ref(), Ok(&expression), "{} was written {}", text, written);
        prop_assert_eq!(again.expect("checked").to_string(), written);
    }

    #[test]
    fn evaluation_gives_a_value_of_the_expressions_type(text in expression()) {
        let expression = Expression::parse(&text).expect("valid");
        let event = event();
        let said = expression.evaluate(&event);
        if let Some(expected) = expression.value_type() {
            prop_assert_eq!(said.value.value_type(), expected, "{}", text);
        }
        let taken = said.error.is_none() && said.value == Value::Boolean(true);
        prop_assert_eq!(expression.takes(&event), taken, "{}", text);
    }

    #[test]
    fn twice_negated_is_the_same(text in expression()) {
        prop_assert_eq!(outcome(&format!("NOT (NOT ({text}))")), outcome(&format!("BOOL({text})")));
    }

    #[test]
    fn the_negated_forms_are_the_negations(a in expression(), b in expression()) {
        for (negated, plain) in [
            (format!("({a}) NOT LIKE 'a%'"), format!("({a}) LIKE 'a%'")),
            (format!("({a}) NOT IN ({b})"), format!("({a}) IN ({b})")),
            (format!("({a}) != ({b})"), format!("({a}) = ({b})")),
            (format!("({a}) > ({b})"), format!("({a}) <= ({b})")),
        ] {
            prop_assert_eq!(outcome(&negated), outcome(&format!("NOT ({plain})")), "{}", negated);
        }
    }

    #[test]
    fn a_pattern_matches_as_a_plain_search_would(text in "[ab]{0,8}", pattern in "[ab%_]{0,6}") {
        let said = outcome(&format!("'{text}' LIKE '{pattern}'"));
        let expected = slowly(text.as_bytes(), pattern.as_bytes());
        prop_assert_eq!(said, Ok(format!("{:?}", Value::Boolean(expected))));
    }
}

/// LIKE by trying everything.
fn slowly(text: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'%', rest @ ..] => (0..=text.len()).any(|skip| slowly(&text[skip..], rest)),
        [first, rest @ ..] => {
            text.first()
                .is_some_and(|found| *first == b'_' || found == first)
                && slowly(&text[1..], rest)
        }
    }
}
