//! Looks up the customer that the event's subject names, and asks the URL in its data, with nothing
//! but `wit-bindgen`: the world of records with the capabilities of a plugin's own world.

use sandbar::transform::{
    http::{self, HttpError, Request},
    log,
    lookup::{self, LookupError},
    records::Output,
};

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package test:reaching;

        world plugin {
            include sandbar:transform/transformer@0.1.0;
            import sandbar:transform/lookup@0.1.0;
            import sandbar:transform/http@0.1.0;
        }
    ",
    world: "test:reaching/plugin",
    generate_all,
});

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<(), Problem> {
        Ok(())
    }

    fn transform(batch: Vec<Event>) -> Vec<Verdict> {
        let one = |(index, event): (usize, &Event)| {
            log::log_for(index as u32, log::Level::Info, &event.id);
            let customer = match lookup::get("customers", event.subject.as_deref().unwrap_or("")) {
                Ok(Some(customer)) => customer,
                Ok(None) => return Verdict::Drop("no customer".to_owned()),
                Err(LookupError::NotGranted) => return Verdict::Drop("not granted".to_owned()),
                Err(LookupError::Unavailable(reason)) => return Verdict::Retry(reason),
            };
            let answer = http::send(&Request {
                method: "GET".to_owned(),
                url: String::from_utf8_lossy(&event.data).into_owned(),
                headers: Vec::new(),
                body: customer.data,
            });
            match answer {
                Ok(answer) => Verdict::Emit(vec![output(answer.body)]),
                Err(HttpError::Timeout) => Verdict::Retry("timeout".to_owned()),
                Err(error) => Verdict::Drop(format!("{error:?}")),
            }
        };
        batch.iter().enumerate().map(one).collect()
    }
}

fn output(data: Vec<u8>) -> Output {
    Output {
        target: None,
        id: None,
        source: None,
        type_: None,
        subject: None,
        time: None,
        datacontenttype: None,
        dataschema: None,
        extensions: Vec::new(),
        data: Some(data),
    }
}

export!(Plugin);
