//! The floor: what the work costs when nothing stands around it.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, header};
use sandbar_types::{BatchBuilder, Event};

use super::load::{Body, contract, output_contract};
use crate::{
    contract::Contract,
    ingest::cloudevents::{self, Decoded},
};

/// What the floor came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub took: Duration,
    pub outputs: usize,
}

/// Parses, checks, maps and checks every event in one loop; writes and syncs the events and the
/// outputs of each publish.
pub fn run(bodies: &[Body], folder: &Path) -> Result<Outcome, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let open = |name: &str| File::create(folder.join(name)).map_err(|error| error.to_string());
    let (mut events_file, mut outputs_file) = (open("events")?, open("outputs")?);
    let source = Contract::compile(&contract()).map_err(|error| error.to_string())?;
    let target = Contract::compile(&output_contract()).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/cloudevents-batch+json"),
    );
    let mut outputs = 0;
    let started = Instant::now();
    for body in bodies {
        let decoded =
            cloudevents::decode(&headers, body.json.clone(), &cloudevents::Limits::default())
                .map_err(|error| error.to_string())?;
        let mut events = BatchBuilder::new();
        let mut mapped = BatchBuilder::new();
        for decoded in decoded {
            let Decoded::Event(event) = decoded else {
                return Err("a bad event".into());
            };
            source
                .check(&event.r#type, &event.datacontenttype, &event.data)
                .map_err(|violations| violations.to_string())?;
            events.push_event(&event);
            if let Some(output) = map(&event)? {
                target
                    .check(&output.r#type, &output.datacontenttype, &output.data)
                    .map_err(|violations| violations.to_string())?;
                mapped.push_event(&output);
                outputs += 1;
            }
        }
        write(&mut events_file, &events.finish().encode())?;
        write(&mut outputs_file, &mapped.finish().encode())?;
    }
    let took = started.elapsed();
    drop((events_file, outputs_file));
    std::fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    Ok(Outcome { took, outputs })
}

/// As the plugin does.
fn map(event: &Event) -> Result<Option<Event>, String> {
    Ok(match guest_orders::map(&event.data)? {
        guest_orders::Mapped::Nothing => None,
        guest_orders::Mapped::Parcel { parcel, data } => Some(Event {
            r#type: "dispatch.parcel".to_owned(),
            subject: parcel,
            data: data.into(),
            ..event.clone()
        }),
    })
}

fn write(file: &mut File, bytes: &[u8]) -> Result<(), String> {
    file.write_all(bytes)
        .and_then(|()| file.sync_data())
        .map_err(|error| error.to_string())
}
