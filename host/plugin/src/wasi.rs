//! The deterministic part of WASI that every plugin has: what ordinary libraries of a language ask
//! for while they do nothing but compute.
//!
//! The wall clock stands at the event's `time` (1970 where it has none), randomness is a stream
//! seeded by the event's source and id, the monotonic clock goes on by a microsecond with each
//! question and by its length with each sleep, there are no arguments, no environment and no files,
//! and what is written to the standard outputs becomes log lines. Nothing here waits, and nothing
//! looks at the machine. A step that grants `clock` or `random` gives the real ones instead.
//!
//! Components ask through WASI 0.2 ([`link`]), core modules through `wasi_snapshot_preview1`
//! ([`preview1`]). All of it is linked by the component's own types, so that any 0.2.x is right; a
//! function without a meaning here answers that it is not permitted, or traps where its type has no
//! way to say so.
//!
//! An answer that depends on the event is only right when one event is in the call. A call with
//! several that asks for one ends with [`EventBound`], and the runner goes on one by one.

pub(crate) mod preview1;

use wasmtime::{
    StoreContextMut,
    component::{
        Component, Linker, LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val,
        types::{ComponentFunc, ComponentItem, Type},
    },
};

use crate::state::State;

/// The packages whose interfaces are offered.
const PACKAGES: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];
/// Random bytes that one call gives at most: each is a value of its own on its way.
const RANDOM_BYTES: u64 = 1 << 16;
/// What an output stream takes in one write.
const WRITE_BYTES: u64 = 1 << 16;
/// How the errors of WASI's interfaces say no.
const NOT_PERMITTED: [&str; 4] = ["access-denied", "not-permitted", "access", "not-supported"];

/// The standard streams, as a resource represents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    In = 0,
    Out = 1,
    Error = 2,
}

/// Something asked for the event's own time or randomness while several events were in the call.
#[derive(Debug, thiserror::Error)]
#[error("the plugin asks for time or randomness, which differ from event to event")]
pub(crate) struct EventBound;

/// The plugin asked for what no plugin has.
#[derive(Debug, thiserror::Error)]
#[error("the plugin {0}")]
pub(crate) struct Forbidden(pub(crate) String);

/// Whether a component may import this.
pub(crate) fn is_offered(import: &str) -> bool {
    let version = import.split_once('@').map_or("", |(_, version)| version);
    PACKAGES.iter().any(|package| import.starts_with(package)) && version.starts_with("0.2.")
}

/// Defines what the component imports of WASI.
pub(crate) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    for (name, import) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if name.starts_with(preview1::PACKAGE) {
            preview1::link(&mut linker.instance(name)?)?;
        } else if is_offered(name) {
            let interface = name
                .split_once('@')
                .map_or(name, |(interface, _)| interface);
            let mut linker = linker.instance(name)?;
            for (export, item) in instance.exports(&engine) {
                match item.ty {
                    ComponentItem::ComponentFunc(_) => function(&mut linker, interface, export)?,
                    ComponentItem::Resource(_) => {
                        let kind = ResourceType::host_dynamic(kind(export));
                        linker.resource(export, kind, |_, _| Ok(()))?;
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Numbers the kinds of resources: the same name is the same kind, whichever interface uses it.
fn kind(name: &str) -> u32 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes()) as u32
}

/// The caller's store.
type Caller<'a> = StoreContextMut<'a, State>;
/// What a function answers: nothing, or one value.
type Answer = wasmtime::Result<Option<Val>>;
/// Takes the parameters, and what the resources among them represent.
type Function = fn(&mut Caller<'_>, &[Val], &[u32]) -> Answer;

fn function(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let known = known(interface, name);
    let called = format!("{interface}#{name}");
    linker.func_new(name, move |mut store, shape, parameters, results| {
        // What was lent for the call is given back by this, and what was handed over is gone.
        let resources = (parameters.iter().flat_map(handles))
            .map(|resource| Ok(resource.try_into_resource_dynamic(&mut store)?.rep()))
            .collect::<wasmtime::Result<Vec<u32>>>()?;
        let answer = match known {
            Some(function) => function(&mut store, parameters, &resources)?,
            None => Some(not_permitted(&called, &shape)?),
        };
        if let (Some(answer), Some(result)) = (answer, results.first_mut()) {
            *result = answer;
        }
        Ok(())
    })
}

/// The functions that mean something here.
fn known(interface: &str, name: &str) -> Option<Function> {
    let function: Function = match (interface, name) {
        ("wasi:cli/environment", "get-environment" | "get-arguments")
        | ("wasi:filesystem/preopens", "get-directories") => {
            |_, _, _| Ok(Some(Val::List(Vec::new())))
        }
        ("wasi:cli/environment", "initial-cwd")
        | (
            "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr",
            _,
        ) => |_, _, _| Ok(Some(Val::Option(None))),
        ("wasi:cli/exit", _) => |_, _, _| Err(Forbidden("called exit".to_owned()).into()),
        ("wasi:cli/stdin", _) => |store, _, _| resource(store, "input-stream", Stream::In),
        ("wasi:cli/stdout", _) => |store, _, _| resource(store, "output-stream", Stream::Out),
        ("wasi:cli/stderr", _) => |store, _, _| resource(store, "output-stream", Stream::Error),
        ("wasi:clocks/wall-clock", "now") => {
            |store, _, _| Ok(Some(datetime(store.data_mut().now()?)))
        }
        ("wasi:clocks/wall-clock", "resolution") => |_, _, _| Ok(Some(datetime(1_000_000))),
        ("wasi:clocks/monotonic-clock", "now") => {
            |store, _, _| Ok(Some(Val::U64(store.data_mut().elapsed())))
        }
        ("wasi:clocks/monotonic-clock", "resolution") => |_, _, _| Ok(Some(Val::U64(1000))),
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => |store, parameters, _| {
            if let [Val::U64(length)] = parameters {
                store.data_mut().sleep(*length);
            }
            resource(store, "pollable", Stream::In)
        },
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => |store, parameters, _| {
            if let [Val::U64(until)] = parameters {
                store.data_mut().sleep_until(*until);
            }
            resource(store, "pollable", Stream::In)
        },
        ("wasi:io/poll", "[method]pollable.ready") => |_, _, _| Ok(Some(Val::Bool(true))),
        ("wasi:io/poll", "[method]pollable.block") => |_, _, _| Ok(None),
        ("wasi:io/poll", "poll") => |_, parameters, _| {
            let count = match parameters {
                [Val::List(pollables)] => pollables.len(),
                _ => 0,
            };
            let ready = (0..u32::try_from(count)?).map(Val::U32).collect();
            Ok(Some(Val::List(ready)))
        },
        (
            "wasi:io/streams",
            "[method]input-stream.subscribe" | "[method]output-stream.subscribe",
        ) => |store, _, _| resource(store, "pollable", Stream::In),
        (
            "wasi:io/streams",
            "[method]input-stream.read"
            | "[method]input-stream.blocking-read"
            | "[method]input-stream.skip"
            | "[method]input-stream.blocking-skip",
        ) => |_, _, _| {
            let closed = Val::Variant("closed".to_owned(), None);
            Ok(Some(Val::Result(Err(Some(Box::new(closed))))))
        },
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            |_, _, _| Ok(Some(Val::Result(Ok(Some(Box::new(Val::U64(WRITE_BYTES)))))))
        }
        (
            "wasi:io/streams",
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush",
        ) => write,
        (
            "wasi:io/streams",
            "[method]output-stream.flush" | "[method]output-stream.blocking-flush",
        ) => |_, _, _| Ok(Some(Val::Result(Ok(None)))),
        ("wasi:random/random", "get-random-bytes")
        | ("wasi:random/insecure", "get-insecure-random-bytes") => random_bytes,
        ("wasi:random/random", "get-random-u64")
        | ("wasi:random/insecure", "get-insecure-random-u64") => {
            |store, _, _| Ok(Some(Val::U64(store.data_mut().random()?)))
        }
        // Seeds hash tables, whose order must not differ from event to event.
        ("wasi:random/insecure-seed", _) => {
            |_, _, _| Ok(Some(Val::Tuple(vec![Val::U64(0), Val::U64(0)])))
        }
        _ => return None,
    };
    Some(function)
}

fn resource(store: &mut Caller<'_>, name: &str, stream: Stream) -> Answer {
    let made = ResourceDynamic::new_own(stream as u32, kind(name));
    Ok(Some(Val::Resource(made.try_into_resource_any(store)?)))
}

fn datetime(nanoseconds: u64) -> Val {
    Val::Record(vec![
        ("seconds".to_owned(), Val::U64(nanoseconds / 1_000_000_000)),
        (
            "nanoseconds".to_owned(),
            Val::U32((nanoseconds % 1_000_000_000) as u32),
        ),
    ])
}

fn write(store: &mut Caller<'_>, parameters: &[Val], resources: &[u32]) -> Answer {
    if let ([_, Val::List(bytes)], [stream]) = (parameters, resources) {
        let bytes: Vec<u8> = bytes
            .iter()
            .map(|byte| match byte {
                Val::U8(byte) => *byte,
                _ => b'?',
            })
            .collect();
        store
            .data_mut()
            .print(*stream == Stream::Error as u32, &bytes);
    }
    Ok(Some(Val::Result(Ok(None))))
}

fn random_bytes(store: &mut Caller<'_>, parameters: &[Val], _: &[u32]) -> Answer {
    let wanted = match parameters {
        [Val::U64(wanted)] => *wanted,
        _ => 0,
    };
    if wanted > RANDOM_BYTES {
        let reason =
            format!("wants {wanted} random bytes at once; there are at most {RANDOM_BYTES} a call");
        return Err(Forbidden(reason).into());
    }
    let mut bytes = Vec::with_capacity(wanted as usize);
    while (bytes.len() as u64) < wanted {
        let more = store.data_mut().random()?.to_le_bytes();
        bytes.extend(more.map(Val::U8));
    }
    bytes.truncate(wanted as usize);
    Ok(Some(Val::List(bytes)))
}

/// The error of the function's own type that says no.
fn not_permitted(called: &str, shape: &ComponentFunc) -> wasmtime::Result<Val> {
    if let Some(Type::Result(result)) = shape.results().next()
        && let Some(Type::Enum(errors)) = result.err()
        && let Some(error) = NOT_PERMITTED
            .into_iter()
            .find(|known| errors.names().any(|name| name == *known))
    {
        return Ok(Val::Result(Err(Some(Box::new(Val::Enum(
            error.to_owned(),
        ))))));
    }
    Err(Forbidden(format!("called {called}, which plugins do not have")).into())
}

/// The resources among a parameter.
fn handles(parameter: &Val) -> Vec<ResourceAny> {
    match parameter {
        Val::Resource(resource) => vec![*resource],
        Val::List(values) | Val::Tuple(values) => values.iter().flat_map(handles).collect(),
        Val::Option(Some(value)) => handles(value),
        _ => Vec::new(),
    }
}
