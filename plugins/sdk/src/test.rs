//! Running a plugin's function natively, in `cargo test`.
//!
//! ```
//! use sandbar_sdk::{Event, Output, Verdict, test::Sample};
//!
//! fn transform(event: &Event<'_>) -> Verdict {
//!     match event.subject() {
//!         Some(subject) => Verdict::emit(Output::inherit().id(format!("{subject}-1"))),
//!         None => Verdict::reject("no subject"),
//!     }
//! }
//!
//! let verdict = Sample::new("shop.order.paid").subject("42").run(transform);
//! assert_eq!(verdict.outputs()[0].attribute("id"), Some("42-1"));
//! ```

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use serde::Serialize;

use crate::{
    Event, IntoVerdict, Verdict,
    guest::{Batch, Column},
    http,
    log::Level,
    lookup,
};

type Topics = HashMap<String, HashMap<String, lookup::Event>>;
type Server = Rc<dyn Fn(&http::Request) -> Result<http::Response, http::Error>>;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static RANDOM: Cell<u8> = const { Cell::new(0) };
    static TOPICS: RefCell<Topics> = RefCell::default();
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// An event to try a plugin's function on. Starts with `id` "1" and `source` "/test".
#[derive(Clone, Debug)]
pub struct Sample {
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: String,
    dataschema: String,
    extensions: serde_json::Map<String, serde_json::Value>,
    data: Vec<u8>,
}

impl Sample {
    /// An event of this type, without data.
    #[must_use]
    pub fn new(r#type: impl Into<String>) -> Self {
        Self {
            id: "1".to_owned(),
            source: "/test".to_owned(),
            r#type: r#type.into(),
            subject: String::new(),
            time: String::new(),
            datacontenttype: String::new(),
            dataschema: String::new(),
            extensions: serde_json::Map::new(),
            data: Vec::new(),
        }
    }

    /// Sets `id`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets `source`.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets `subject`.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets `time`, RFC 3339.
    #[must_use]
    pub fn time(mut self, time: impl Into<String>) -> Self {
        self.time = time.into();
        self
    }

    /// Sets `datacontenttype`.
    #[must_use]
    pub fn datacontenttype(mut self, datacontenttype: impl Into<String>) -> Self {
        self.datacontenttype = datacontenttype.into();
        self
    }

    /// Sets `dataschema`.
    #[must_use]
    pub fn dataschema(mut self, dataschema: impl Into<String>) -> Self {
        self.dataschema = dataschema.into();
        self
    }

    /// Sets an extension attribute: a text, an integer or a boolean.
    #[must_use]
    pub fn extension(
        mut self,
        name: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Sets the data.
    #[must_use]
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        self
    }

    /// Sets the data to this value as JSON.
    ///
    /// # Panics
    /// When the value cannot be written as JSON.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.data = serde_json::to_vec(value).expect("the sample's data can be written as JSON");
        self
    }

    /// What the function says of this event.
    pub fn run<V: IntoVerdict>(&self, transform: impl Fn(&Event<'_>) -> V) -> Verdict {
        let batch = self.batch();
        transform(&Event::new(&batch, 0)).into_verdict()
    }

    /// What a function with a config says of this event.
    pub fn run_with<C, V: IntoVerdict>(
        &self,
        config: &C,
        transform: impl Fn(&Event<'_>, &C) -> V,
    ) -> Verdict {
        self.run(|event| transform(event, config))
    }

    /// The event as [`crate::lookup::get`] finds it.
    fn found(&self) -> lookup::Event {
        let present = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let extensions = self.extensions.iter().map(|(name, value)| {
            let text = value.as_str().map(str::to_owned);
            (name.clone(), text.unwrap_or_else(|| value.to_string()))
        });
        lookup::Event {
            id: self.id.clone(),
            source: self.source.clone(),
            r#type: self.r#type.clone(),
            subject: present(&self.subject),
            time: present(&self.time),
            datacontenttype: present(&self.datacontenttype),
            dataschema: present(&self.dataschema),
            extensions: extensions.collect(),
            data: self.data.clone(),
        }
    }

    fn batch(&self) -> Batch {
        let column = |bytes: &[u8]| Column {
            bytes: bytes.to_vec(),
            ends: Vec::new(),
        };
        let extensions = if self.extensions.is_empty() {
            String::new()
        } else {
            serde_json::Value::Object(self.extensions.clone()).to_string()
        };
        Batch {
            count: 1,
            id: column(self.id.as_bytes()),
            source: column(self.source.as_bytes()),
            type_: column(self.r#type.as_bytes()),
            subject: column(self.subject.as_bytes()),
            time: column(self.time.as_bytes()),
            datacontenttype: column(self.datacontenttype.as_bytes()),
            dataschema: column(self.dataschema.as_bytes()),
            extensions: column(extensions.as_bytes()),
            data: column(&self.data),
        }
    }
}

/// Takes the lines that were logged on this thread since it was last called.
#[must_use]
pub fn log_lines() -> Vec<(Level, String)> {
    LINES.take()
}

/// What [`crate::clock::now`] answers on this thread, in milliseconds since the epoch.
pub fn set_clock(milliseconds: u64) {
    CLOCK.set(milliseconds);
}

/// On this thread [`crate::lookup::get`] may ask `topic` from now on, and finds nothing in it but
/// what [`put`] puts there.
pub fn grant_lookup(topic: impl Into<String>) {
    TOPICS.with_borrow_mut(|topics| {
        topics.entry(topic.into()).or_default();
    });
}

/// On this thread [`crate::lookup::get`] finds `sample` as the latest event of `key` in `topic`,
/// which is granted with that.
pub fn put(topic: impl Into<String>, key: impl Into<String>, sample: &Sample) {
    TOPICS.with_borrow_mut(|topics| {
        let events = topics.entry(topic.into()).or_default();
        events.insert(key.into(), sample.found());
    });
}

/// On this thread [`crate::http::send`] answers what `server` says. Without one nothing is granted.
pub fn serve_http(
    server: impl Fn(&http::Request) -> Result<http::Response, http::Error> + 'static,
) {
    SERVER.set(Some(Rc::new(server)));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn lookup(topic: &str, key: &str) -> Result<Option<lookup::Event>, lookup::Error> {
    TOPICS.with_borrow(|topics| match topics.get(topic) {
        Some(events) => Ok(events.get(key).cloned()),
        None => Err(lookup::Error::NotGranted),
    })
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn send(request: &http::Request) -> Result<http::Response, http::Error> {
    let server = SERVER.with_borrow(Clone::clone);
    match server {
        Some(server) => server(request),
        None => Err(http::Error::NotGranted(
            "no server was set with sandbar_sdk::test::serve_http".to_owned(),
        )),
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn keep_log_line(level: Level, message: &str) {
    LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn clock() -> u64 {
    CLOCK.get()
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn random(length: u32) -> Vec<u8> {
    (0..length)
        .map(|_| RANDOM.replace(RANDOM.get().wrapping_add(1)))
        .collect()
}
