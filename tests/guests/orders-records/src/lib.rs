//! Orders to parcels with nothing but `wit-bindgen`: the world of records.

use guest_orders::Mapped;
use sandbar::transform::records::Output;

wit_bindgen::generate!({ path: "../../../wit", world: "transformer" });

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<(), Problem> {
        Ok(())
    }

    fn transform(batch: Vec<Event>) -> Vec<Verdict> {
        batch.iter().map(one).collect()
    }
}

fn one(event: &Event) -> Verdict {
    match guest_orders::map(&event.data) {
        Ok(Mapped::Parcel { parcel, data }) => Verdict::Emit(vec![Output {
            target: None,
            id: None,
            source: None,
            type_: Some("dispatch.parcel".to_owned()),
            subject: Some(parcel),
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: Vec::new(),
            data: Some(data),
        }]),
        Ok(Mapped::Nothing) => Verdict::Drop("nothing to send".to_owned()),
        Err(reason) => Verdict::Reject(Problem::InvalidEvent(reason)),
    }
}

export!(Plugin);
