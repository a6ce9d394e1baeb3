//! temporary
use std::process::ExitCode;
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "bench" {
        let o = sandbar::bench::Options{events: 200_000, batch: 1000, concurrency: 4, partitions: 1, rounds: 3, plugin: "target/guests/guest-orders-columns.wasm".into(), folder: "target".into(), json: false};
        if let Err(e) = sandbar::bench::run(&o) { eprintln!("{e}"); return ExitCode::FAILURE; }
        return ExitCode::SUCCESS;
    }
    let mut data = "target/data".to_string(); let mut listen="127.0.0.1:7400".to_string();
    for w in args.windows(2) { if w[0]=="--data" {data=w[1].clone()} if w[0]=="--listen" {listen=w[1].clone()} }
    let c = sandbar::config::Config{data: data.into(), listen: listen.parse().unwrap(), allow_open:false, api: Default::default(), segment_bytes: 64<<20, worker_threads: 2};
    sandbar::serve::run(c, sandbar::serve::LogFormat::Text, "info")
}
