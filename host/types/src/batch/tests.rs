//! The batch format: what goes in comes out, and nothing else is taken.

use super::*;
use crate::AttributeValue;

fn event(index: usize) -> Event {
    Event {
        id: format!("id-{index}"),
        source: "/shop".into(),
        r#type: if index.is_multiple_of(3) {
            "a".into()
        } else {
            "b".into()
        },
        subject: if index.is_multiple_of(2) {
            String::new()
        } else {
            format!("s{index}é")
        },
        extensions: (index % 4 == 1)
            .then(|| {
                (
                    "partitionkey".to_owned(),
                    AttributeValue::String("k".into()),
                )
            })
            .into_iter()
            .collect(),
        data: Bytes::from(vec![index as u8; index]),
        ..Event::default()
    }
}

fn batch(count: usize) -> Batch {
    let mut builder = BatchBuilder::new();
    for index in 0..count {
        builder.push_event(&event(index));
    }
    builder.finish()
}

#[test]
fn what_goes_in_comes_out() {
    for count in [0, 1, 2, 3, 17, 300] {
        let made = batch(count);
        let read = Batch::decode(&Bytes::from(made.encode())).expect("decodes");
        assert_eq!(read.len(), count);
        for index in 0..count {
            assert_eq!(
                read.get(index).to_event(),
                event(index),
                "event {index} of {count}"
            );
        }
    }
}

#[test]
fn the_bytes_of_version_1_stay_readable() {
    // Written by version 0.1.0; a change of the format must keep reading it.
    let mut bytes = vec![1, 2, 0, 0, 0];
    bytes.extend([2, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'x', b'y']); // id: x, y
    bytes.extend([1, 2, 0, 0, 0, b'/', b's']); // source: /s for both
    bytes.extend([1, 1, 0, 0, 0, b't']); // type
    bytes.extend([0, 0, 0, 0, 0]); // subject to extensions: empty
    bytes.extend([2, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'4', b'2']); // data: nothing, 42
    let read = Batch::decode(&Bytes::from(bytes)).expect("decodes");
    assert_eq!((read.get(0).id, read.get(0).data), ("x", &b""[..]));
    assert_eq!(
        (read.get(1).id, read.get(1).source, read.get(1).data),
        ("y", "/s", &b"42"[..])
    );
}

#[test]
fn a_cut_anywhere_is_an_error() {
    let whole = batch(9).encode();
    for length in 0..whole.len() {
        assert!(
            Batch::decode(&Bytes::copy_from_slice(&whole[..length])).is_err(),
            "cut at {length}"
        );
    }
    let mut longer = whole;
    longer.push(0);
    assert_eq!(
        Batch::decode(&Bytes::from(longer)),
        Err(DecodeError::Trailing(1))
    );
}

#[test]
fn slices_and_concat_agree() {
    let whole = batch(50);
    let parts = [
        whole.slice(0, 0),
        whole.slice(0, 7),
        whole.slice(7, 8),
        whole.slice(8, 50),
    ];
    let again = Batch::concat(&parts);
    assert!(whole.iter().eq(again.iter()));
}

#[test]
fn text_that_is_cut_inside_a_character_is_refused() {
    let mut columns: [Column; 9] = std::array::from_fn(|_| Column::Empty);
    columns[3] = Column::Each {
        bytes: Bytes::from_static("é".as_bytes()),
        ends: vec![1, 2],
    };
    assert_eq!(
        Batch::from_columns(2, columns),
        Err(DecodeError::Utf8("subject"))
    );
}
