//! The plugin's surface: what the hub calls. The work itself is in `invoice.rs`, which knows nothing
//! of the hub and is tested without it.

#[cfg(target_family = "wasm")]
mod plugin {
    use std::cell::RefCell;

    use sandbar::transform::{log, records::Output};

    use crate::invoice::{Config, Outcome, invoice};

    wit_bindgen::generate!({ path: "wit", world: "transformer" });

    thread_local! {
        static CONFIG: RefCell<Config> = RefCell::default();
    }

    struct Plugin;

    impl Guest for Plugin {
        /// Once per instance: the step's `config`, as JSON.
        fn configure(config: String) -> Result<(), Problem> {
            std::panic::set_hook(Box::new(|panic| {
                log::log(log::Level::Error, &panic.to_string());
            }));
            let config = serde_json::from_str::<Option<Config>>(&config)
                .map_err(|error| Problem::InvalidConfig(error.to_string()))?;
            CONFIG.set(config.unwrap_or_default());
            Ok(())
        }

        /// One verdict per event, in the same order.
        fn transform(batch: Vec<Event>) -> Vec<Verdict> {
            CONFIG.with_borrow(|config| batch.iter().map(|event| one(event, config)).collect())
        }
    }

    fn one(event: &Event, config: &Config) -> Verdict {
        match invoice(&event.data, config) {
            Outcome::Invoice(data) => Verdict::Emit(vec![Output {
                type_: Some("invoice.due".to_owned()),
                data: Some(data),
                // What is not set is inherited from the event.
                target: None,
                id: None,
                source: None,
                subject: None,
                time: None,
                datacontenttype: None,
                dataschema: None,
                extensions: Vec::new(),
            }]),
            Outcome::Nothing(reason) => Verdict::Drop(reason.to_owned()),
            Outcome::Invalid(reason) => Verdict::Reject(Problem::InvalidEvent(reason)),
        }
    }

    export!(Plugin);
}

#[cfg_attr(not(target_family = "wasm"), allow(dead_code))]
mod invoice;
