//! What the benchmark prints.

use std::time::Duration;

use serde_json::json;

use super::{Measured, Options};

/// Prints a table, or one JSON document.
pub fn print(options: &Options, measured: &Measured) {
    let each =
        |take: &dyn Fn(&super::Round) -> f64| median(measured.rounds.iter().map(take).collect());
    let events = options.events as f64;
    let rate = each(&|round| events / round.took.as_secs_f64());
    let bytes = each(&|round| round.bytes as f64 / round.took.as_secs_f64());
    let hub = each(&|round| per_event(round.took, events));
    let floor = each(&|round| per_event(round.floor, events));
    let ratio = each(&|round| round.took.as_secs_f64() / round.floor.as_secs_f64());
    let cpu = each(&|round| round.cpu_seconds * 1e6 / events);
    let quantiles = |histogram: &hdrhistogram::Histogram<u64>| {
        [0.5, 0.99, 0.999].map(|quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    };
    let (publish, whole) = (quantiles(&measured.publish), quantiles(&measured.whole_way));
    if options.json {
        let document = json!({
            "events": options.events, "batch": options.batch, "concurrency": options.concurrency,
            "partitions": options.partitions, "rounds": options.rounds,
            "events_per_second": rate, "bytes_per_second": bytes,
            "hub_us_per_event": hub, "floor_us_per_event": floor, "ratio": ratio,
            "hub_cpu_us_per_event": cpu,
            "publish_ms": {"p50": publish[0], "p99": publish[1], "p99.9": publish[2]},
            "whole_way_ms": {"p50": whole[0], "p99": whole[1], "p99.9": whole[2]},
            "hub_peak_memory_bytes": measured.peak_memory,
        });
        println!("{document}");
        return;
    }
    println!(
        "{} events of some 260 bytes, {} a publish, {} publishes at a time, {} partition(s); medians of {} rounds",
        options.events, options.batch, options.concurrency, options.partitions, options.rounds
    );
    println!(
        "  rate                {rate:>10.0} events/s   {:>8.1} MB/s",
        bytes / 1e6
    );
    println!("  hub                 {hub:>10.2} µs/event");
    println!("  floor               {floor:>10.2} µs/event");
    println!("  hub / floor         {ratio:>10.2}");
    println!("  CPU of the hub      {cpu:>10.2} µs/event");
    println!(
        "  memory of the hub   {:>10.0} MB at most",
        measured.peak_memory as f64 / 1e6
    );
    println!("                             p50        p99      p99.9");
    println!(
        "  publish, ms         {:>10.2} {:>10.2} {:>10.2}",
        publish[0], publish[1], publish[2]
    );
    println!(
        "  whole way, ms       {:>10.2} {:>10.2} {:>10.2}",
        whole[0], whole[1], whole[2]
    );
}

fn per_event(duration: Duration, events: f64) -> f64 {
    duration.as_secs_f64() * 1e6 / events
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
