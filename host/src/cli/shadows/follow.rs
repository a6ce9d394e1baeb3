//! What a shadow finds, while it finds it.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::super::{
    Client, Outcome, changes,
    client::{Failure, path},
    output::say,
    paint::{Paint, Tone},
    table::{cell, plain},
};

/// How long one call waits for something to tell.
const WAIT: Duration = Duration::from_secs(20);
/// Between two calls where there is much to tell.
const APART: Duration = Duration::from_millis(200);
/// How often in a row a hub that is away is asked again.
const MOST_TRIES: u32 = 20;

/// Where somebody who follows a shadow is.
pub(in crate::cli) struct Follower {
    path: String,
    /// As of the answer before.
    compared: u64,
    differing: u64,
    state: Value,
}

impl Follower {
    /// From the first event that the shadow compares.
    pub(in crate::cli) fn new(route: &str) -> Result<Self, Failure> {
        Ok(Self {
            path: path(&["routes", route, "shadow", "differences"])?,
            compared: 0,
            differing: 0,
            state: Value::from("comparing"),
        })
    }

    /// What was found since the last call; nothing when nothing was. `forgotten` counts events that
    /// differ and are not listed.
    pub(in crate::cli) fn next(
        &mut self,
        client: &Client,
        wait: Duration,
    ) -> Result<Option<Value>, Failure> {
        let request = client.request(Method::GET, &self.path).query(&[
            ("after", self.compared.to_string()),
            ("wait", wait.as_secs_f64().to_string()),
        ]);
        let mut news = client.answer(request)?;
        let count = |name: &str| news[name].as_u64().unwrap_or(0);
        let (compared, differing) = (count("compared"), count("differing"));
        if compared == self.compared && news["state"] == self.state {
            return Ok(None);
        }
        let listed = news["differences"].as_array().map_or(0, Vec::len) as u64;
        let grown = differing.saturating_sub(self.differing);
        news["forgotten"] = grown.saturating_sub(listed).into();
        (self.compared, self.differing) = (compared, differing);
        self.state = news["state"].clone();
        Ok(Some(news))
    }
}

pub(super) fn run(client: &Client, route: &str) -> Outcome {
    let mut follower = Follower::new(route)?;
    let paint = Paint::for_stdout();
    let mut failures = 0;
    loop {
        match follower.next(client, WAIT) {
            Ok(news) => {
                failures = 0;
                if let Some(news) = news {
                    client.print(&news, |news| show_news(paint, news));
                    if matches!(news["state"].as_str(), Some("done" | "promoted")) {
                        return Ok(());
                    }
                }
                std::thread::sleep(APART);
            }
            Err(failure) if failure.may_pass() && failures < MOST_TRIES => {
                failures += 1;
                std::thread::sleep(APART * failures);
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Each event that differs, then how it stands.
pub(in crate::cli) fn show_news(paint: Paint, news: &Value) {
    for example in news["differences"].as_array().into_iter().flatten() {
        show_example(paint, example);
    }
    if let forgotten @ 1.. = news["forgotten"].as_u64().unwrap_or(0) {
        say!("({forgotten} more events differ)");
    }
    let state = match news["state"].as_str() {
        None | Some("comparing") => String::new(),
        Some(state) => format!("; {state} {}", plain(&cell(&news["detail"]))),
    };
    let counts = format!(
        "{} compared, {} the same, {} differ{}",
        news["compared"],
        news["same"],
        news["differing"],
        state.trim_end()
    );
    say!("{}", paint.text(Tone::Quiet, counts));
}

/// An event that differs: its place, its verdicts, the places in what was said of it.
pub(super) fn show_example(paint: Paint, example: &Value) {
    let (active, candidate) = (cell(&example["active"]), cell(&example["candidate"]));
    let verdicts = if active == candidate {
        String::new()
    } else {
        format!(
            "  {} → {}",
            paint.text(Tone::Bad, active),
            paint.text(Tone::Good, candidate)
        )
    };
    let place = format!(
        "{}/{}/{}",
        cell(&example["topic"]),
        example["partition"],
        example["offset"]
    );
    say!(
        "{}  {place}{verdicts}",
        paint.text(Tone::Strong, plain(&cell(&example["id"])))
    );
    for change in example["changes"].as_array().into_iter().flatten() {
        // Told above.
        if change["pointer"] != "/verdict" {
            say!("    {}", changes::line(paint, change));
        }
    }
}
