//! Compiling in a process of its own: what an upload makes the compiler do ends with that process.
//! It has a limit of memory and of time, and gives way to whatever serves: it has what nobody else wants, or,
//! where that is nothing, a tenth of what others have.
//!
//! # Protocol
//! The process is started with the options that the machine code depends on as arguments, takes the
//! uploaded bytes on its standard input, and answers on its standard output: one byte and the
//! component as wasmtime serialises it (0: stopped by epochs, 2: by checks), or one byte 1 and the
//! [`Refusal`] as JSON.

use std::{
    ffi::OsString,
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::component::Component;

use crate::{
    EngineOptions, Form, Refusal, artifact, checks,
    engine::{self, Stop},
    footing::{self, Footing, KernelThread},
    inspect, page,
    pauses::Pauses,
    wrap,
};

const COMPILED: u8 = 0;
const REFUSED: u8 = 1;
const COMPILED_WITH_CHECKS: u8 = 2;
/// A process that stands behind all others is looked after once, after so long, and begins anew nearer
/// to them where it had less than this part of a core.
const LOOK_AFTER: Duration = Duration::from_secs(10);
const STARVED_BELOW: u32 = 10;

/// How plugins are compiled.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// A program that calls [`compiler_process`], and its arguments before ours.
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// What it may allocate, in bytes.
    pub memory_bytes: u64,
    pub time: Duration,
}

/// The component of uploaded bytes, in this process.
pub(crate) fn translate(
    engine: impl Fn(Stop) -> Result<wasmtime::Engine, Refusal>,
    form: Form,
    bytes: &[u8],
) -> Result<(Stop, Component), Refusal> {
    if form == Form::CoreModule
        && let Some(checked) = with_checks(bytes)
        && let Ok(component) = Component::from_binary(&engine(Stop::Page)?, &checked)
    {
        return Ok((Stop::Page, component));
    }
    let wrapped;
    let bytes = match form {
        Form::Component => bytes,
        Form::CoreModule => {
            wrapped = wrap::core_module(bytes)?;
            &wrapped
        }
    };
    let component = Component::from_binary(&engine(Stop::Epoch)?, bytes)
        .map_err(|error| Refusal::Invalid(format!("{error:#}")))?;
    Ok((Stop::Epoch, component))
}

/// The component around a core module with checks, where the module is of the shape for it.
fn with_checks(bytes: &[u8]) -> Option<Vec<u8>> {
    let checked = checks::insert(bytes)?;
    page::expose(&wrap::core_module(&checked.bytes).ok()?)
}

/// The component of uploaded bytes, in a process of its own. Blocks for up to the compiler's time, once more
/// where others leave it no core.
pub(crate) fn translate_outside(
    engine: impl Fn(Stop) -> Result<wasmtime::Engine, Refusal>,
    compiler: &Compiler,
    options: &EngineOptions,
    form: Form,
    bytes: &[u8],
) -> Result<(Stop, Component), Refusal> {
    let mut answer = None;
    for footing in [Footing::Last, Footing::Behind] {
        let child = match start(compiler, options, footing) {
            Ok(child) => child,
            Err(error) => {
                tracing::warn!(%error, "no process can be started for compiling; it is done in the hub, without limits");
                return translate(engine, form, bytes);
            }
        };
        answer = ask(child, bytes, compiler, footing)?;
        if answer.is_some() {
            break;
        }
        tracing::info!("compiling is given no core; it begins anew and gives way by less");
    }
    let answer = answer.unwrap_or_default();
    match answer.split_first() {
        Some((&tag @ (COMPILED | COMPILED_WITH_CHECKS), compiled)) => {
            let stop = match tag {
                COMPILED => Stop::Epoch,
                _ => Stop::Page,
            };
            let component = artifact::deserialize(&engine(stop)?, compiled).ok_or_else(|| {
                let reason = "the compiler's answer is of another version of the hub";
                Refusal::Compiler(reason.to_owned())
            })?;
            Ok((stop, component))
        }
        Some((&REFUSED, refusal)) => Err(serde_json::from_slice(refusal)
            .unwrap_or_else(|error| Refusal::Compiler(error.to_string()))),
        _ => Err(Refusal::Compiler("the compiler did not answer".to_owned())),
    }
}

fn start(compiler: &Compiler, options: &EngineOptions, footing: Footing) -> std::io::Result<Child> {
    Command::new(&compiler.program)
        .args(&compiler.arguments)
        .arg(compiler.memory_bytes.to_string())
        .arg(options.max_memory_bytes.to_string())
        .arg(u64::from(footing == Footing::Last).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Hands the bytes over and waits for the answer. `None`: the process stands [`Footing::Last`] and is
/// given no core.
fn ask(
    mut child: Child,
    bytes: &[u8],
    compiler: &Compiler,
    footing: Footing,
) -> Result<Option<Vec<u8>>, Refusal> {
    let (Some(mut input), Some(mut output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Refusal::Compiler("it has no pipes".to_owned()));
    };
    let (sender, answered) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        // A process that ends early breaks the pipe; its answer says why.
        scope.spawn(move || input.write_all(bytes));
        scope.spawn(move || {
            let (mut answer, mut said) = (Vec::new(), String::new());
            let read = output.read_to_end(&mut answer);
            let _ = errors.read_to_string(&mut said);
            let _ = sender.send(read.map(|_| (answer, said)));
        });
        let (first, rest) = match footing {
            Footing::Last => (compiler.time.min(LOOK_AFTER), compiler.time),
            Footing::Behind => (compiler.time, Duration::ZERO),
        };
        let mut answer = answered.recv_timeout(first);
        let mut starved = false;
        if answer.is_err() {
            starved = footing == Footing::Last && starves(first, footing::core_time_of(&child));
            if !starved {
                answer = answered.recv_timeout(rest.saturating_sub(first));
            }
        }
        // Both pipes break with the process, so that the threads end.
        if answer.is_err() {
            let _ = child.kill();
        }
        let ended = child.wait();
        match (answer, ended) {
            (Err(_), _) if starved => Ok(None),
            (Ok(Ok((answer, _))), Ok(status)) if status.success() => Ok(Some(answer)),
            (Ok(Ok((_, said))), _) if said.contains("memory allocation") => {
                Err(Refusal::Compiler(format!(
                    "compiling it takes more memory than {} bytes",
                    compiler.memory_bytes
                )))
            }
            (Ok(Ok((_, said))), Ok(status)) => Err(Refusal::Compiler(format!(
                "the compiler broke ({status}): {}",
                said.lines().next().unwrap_or_default()
            ))),
            (Err(_), _) => Err(Refusal::Compiler(format!(
                "compiling it takes longer than {} s",
                compiler.time.as_secs()
            ))),
            (Ok(Err(error)), _) | (_, Err(error)) => Err(Refusal::Compiler(error.to_string())),
        }
    })
}

/// Whether a process that has run for so long had hardly anything of a core.
fn starves(taken: Duration, had: Option<Duration>) -> bool {
    had.is_some_and(|had| had < taken / STARVED_BELOW)
}

/// What the compiling process does. `arguments` are those behind [`Compiler::arguments`].
#[must_use]
pub fn compiler_process(arguments: &[String]) -> ExitCode {
    match compile(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile(arguments: &[String]) -> Result<(), String> {
    let mut numbers = arguments.iter().map(|argument| argument.parse::<u64>());
    let mut number = || {
        let next = numbers.next().ok_or("an argument is missing")?;
        next.map_err(|error| error.to_string())
    };
    let memory_bytes = number()?;
    let max_memory_bytes = number()?;
    // Before there are other threads, which stand where this one does.
    KernelThread::current().step_back(match number()? {
        0 => Footing::Behind,
        _ => Footing::Last,
    });
    pause();
    let threads = rayon::ThreadPoolBuilder::new().start_handler(|_| pause());
    threads.build_global().map_err(|error| error.to_string())?;
    let options = EngineOptions {
        // It makes none, and what is set aside for them counts as its memory.
        max_instances: 1,
        max_memory_bytes: usize::try_from(max_memory_bytes).map_err(|error| error.to_string())?,
        ..EngineOptions::default()
    };
    let mut bytes = Vec::new();
    (std::io::stdin().read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    let engine = |stop| {
        wasmtime::Engine::new(&engine::config(&options, stop))
            .map_err(|error| Refusal::Compiler(format!("{error:#}")))
    };
    let limit = Rlimit {
        current: Some(memory_bytes),
        maximum: Some(memory_bytes),
    };
    setrlimit(Resource::Data, limit).map_err(|error| error.to_string())?;
    let compiled = inspect::form(&bytes, usize::MAX)
        .and_then(|form| translate(engine, form, &bytes))
        .and_then(|(stop, component)| {
            let compiled = component.serialize();
            Ok((
                stop,
                compiled.map_err(|error| Refusal::Compiler(format!("{error:#}")))?,
            ))
        });
    let (tag, body) = match compiled {
        Ok((Stop::Epoch, compiled)) => (COMPILED, compiled),
        Ok((Stop::Page, compiled)) => (COMPILED_WITH_CHECKS, compiled),
        Err(refusal) => (
            REFUSED,
            serde_json::to_vec(&refusal).map_err(|error| error.to_string())?,
        ),
    };
    let mut output = std::io::stdout().lock();
    output
        .write_all(&[tag])
        .and_then(|()| output.write_all(&body))
        .and_then(|()| output.flush())
        .map_err(|error| error.to_string())
}

/// The thread that calls pauses from now on until it ends with the process.
fn pause() {
    let here = Pauses::of_this_thread();
    here.pauses().begin();
    std::mem::forget(here);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_tenth_of_a_core_does_not_starve() {
        let seconds = Duration::from_secs;
        assert!(starves(LOOK_AFTER, Some(Duration::ZERO)));
        assert!(!starves(LOOK_AFTER, Some(seconds(1))));
        assert!(!starves(LOOK_AFTER, None), "it cannot be told");
    }
}
