//! Tells what WASI says. The type of an event names what is asked; the answer is the reason of a
//! drop. `preview1.…` asks as core modules do, the others through WASI 0.2.

use std::fmt::Write as _;

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package test:guest;
        world plugin {
            include sandbar:transform/transformer@0.1.0;
            import wasi:clocks/wall-clock@0.2.3;
            import wasi:clocks/monotonic-clock@0.2.3;
            import wasi:random/random@0.2.3;
            import wasi:cli/environment@0.2.3;
            import wasi:cli/stderr@0.2.3;
            import wasi:filesystem/types@0.2.3;
            import wasi:sockets/instance-network@0.2.3;
            import wasi:sockets/tcp-create-socket@0.2.3;
        }
        package wasi:io@0.2.3 {
            interface error { resource error { to-debug-string: func() -> string; } }
            interface poll { resource pollable { block: func(); } }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource output-stream {
                    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                }
            }
        }
        package wasi:clocks@0.2.3 {
            interface wall-clock {
                record datetime { seconds: u64, nanoseconds: u32 }
                now: func() -> datetime;
            }
            interface monotonic-clock {
                use wasi:io/poll@0.2.3.{pollable};
                now: func() -> u64;
                subscribe-duration: func(when: u64) -> pollable;
            }
        }
        package wasi:random@0.2.3 {
            interface random { get-random-bytes: func(len: u64) -> list<u8>; }
        }
        package wasi:cli@0.2.3 {
            interface environment { get-environment: func() -> list<tuple<string, string>>; }
            interface stderr {
                use wasi:io/streams@0.2.3.{output-stream};
                get-stderr: func() -> output-stream;
            }
        }
        package wasi:filesystem@0.2.3 {
            interface types {
                resource descriptor {}
                filesystem-error-code: func(err: borrow<descriptor>) -> option<u32>;
            }
        }
        package wasi:sockets@0.2.3 {
            interface network {
                resource network {}
                enum error-code { unknown, access-denied }
            }
            interface instance-network {
                use network.{network};
                instance-network: func() -> network;
            }
            interface tcp { resource tcp-socket {} }
            interface tcp-create-socket {
                use network.{error-code};
                use tcp.{tcp-socket};
                create-tcp-socket: func(family: u8) -> result<tcp-socket, error-code>;
            }
        }
    ",
    world: "test:guest/plugin",
    generate_all,
});

use wasi::{
    cli::{environment, stderr},
    clocks::{monotonic_clock, wall_clock},
    random::random,
    sockets::{instance_network, tcp_create_socket},
};

mod preview1 {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub fn clock_time_get(clock: u32, precision: u64, at: *mut u64) -> u32;
        pub fn random_get(at: *mut u8, length: usize) -> u32;
        pub fn environ_sizes_get(count: *mut usize, bytes: *mut usize) -> u32;
        pub fn fd_write(fd: u32, pieces: *const Piece, count: usize, written: *mut usize) -> u32;
        pub fn fd_prestat_get(fd: u32, at: *mut u8) -> u32;
        pub fn poll_oneoff(
            of: *const Subscription,
            events: *mut Event,
            count: usize,
            ready: *mut usize,
        ) -> u32;
        pub fn proc_exit(status: u32) -> !;
    }

    #[repr(C)]
    pub struct Piece {
        pub at: *const u8,
        pub length: usize,
    }

    /// A wait for a time.
    #[repr(C)]
    #[derive(Default)]
    pub struct Subscription {
        pub userdata: u64,
        pub tag: u64,
        pub clock: u64,
        pub timeout: u64,
        pub precision: u64,
        pub flags: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    pub struct Event {
        pub userdata: u64,
        pub error_and_type: u64,
        pub rest: [u64; 2],
    }
}

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<(), Problem> {
        Ok(())
    }

    fn transform(batch: Vec<Event>) -> Vec<Verdict> {
        batch
            .iter()
            .map(|event| Verdict::Drop(asked(&event.type_)))
            .collect()
    }
}

fn asked(what: &str) -> String {
    match what {
        "time" => {
            let now = wall_clock::now();
            format!("{}.{:09}", now.seconds, now.nanoseconds)
        }
        "random" => hex(&random::get_random_bytes(20)),
        "sleep" => {
            let before = monotonic_clock::now();
            monotonic_clock::subscribe_duration(3_600_000_000_000).block();
            format!("{}", (monotonic_clock::now() - before) / 1_000_000_000)
        }
        "environment" => format!("{:?}", environment::get_environment()),
        "print" => {
            let stderr = stderr::get_stderr();
            let written = stderr.blocking_write_and_flush(b"one line\nand another");
            format!("{}", written.is_ok())
        }
        "connect" => match tcp_create_socket::create_tcp_socket(4) {
            Ok(_) => "a socket".to_owned(),
            Err(error) => error.name().to_owned(),
        },
        "network" => {
            instance_network::instance_network();
            "a network".to_owned()
        }
        _ => asked_preview1(what),
    }
}

fn asked_preview1(what: &str) -> String {
    use preview1::*;
    match what {
        "preview1.time" => {
            let mut now = 0;
            // SAFETY: the pointer is to a number of our own.
            let errno = unsafe { clock_time_get(0, 0, &mut now) };
            format!("{errno} {now}")
        }
        "preview1.random" => {
            let mut bytes = [0; 20];
            // SAFETY: the pointer is to so many bytes of our own.
            let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
            format!("{errno} {}", hex(&bytes))
        }
        "preview1.sleep" => {
            let (mut before, mut after, mut ready) = (0, 0, 0);
            let hour = Subscription {
                clock: 1,
                timeout: 3_600_000_000_000,
                ..Subscription::default()
            };
            let mut event = preview1::Event::default();
            // SAFETY: the pointers are to values of our own, of the sizes that preview 1 says.
            let errno = unsafe {
                clock_time_get(1, 0, &mut before);
                let errno = poll_oneoff(&hour, &mut event, 1, &mut ready);
                clock_time_get(1, 0, &mut after);
                errno
            };
            format!("{errno} {ready} {}", (after - before) / 1_000_000_000)
        }
        "preview1.environment" => {
            let (mut count, mut bytes) = (7, 7);
            // SAFETY: the pointers are to numbers of our own.
            let errno = unsafe { environ_sizes_get(&mut count, &mut bytes) };
            format!("{errno} {count} {bytes}")
        }
        "preview1.print" => {
            let text = "said by preview 1\n";
            let piece = Piece {
                at: text.as_ptr(),
                length: text.len(),
            };
            let mut written = 0;
            // SAFETY: the pointers are to values of our own.
            let errno = unsafe { fd_write(1, &piece, 1, &mut written) };
            format!("{errno} {written}")
        }
        "preview1.files" => {
            let mut room = [0; 8];
            // SAFETY: the pointer is to as many bytes as the answer has.
            format!("{}", unsafe { fd_prestat_get(3, room.as_mut_ptr()) })
        }
        // SAFETY: it does not come back.
        "preview1.exit" => unsafe { proc_exit(3) },
        other => format!("nobody asks {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

export!(Plugin);
