//! Files and lines of a guest's code, from the DWARF sections of what was uploaded.
//!
//! wasmtime can do it too, but parses the sections anew for every frame of every trap: a thousand
//! poison events in a plugin of 700 KB take 5 s instead of 0.2. Here they are parsed once, at the
//! first trap, and only for plugins that have them; compiled artifacts do not grow either.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use addr2line::Context;
use gimli::{EndianArcSlice, LittleEndian};
use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::FrameInfo;

use crate::{
    Form,
    checks::{self, Insertions},
    engine::Stop,
};

/// More than this, in bytes, is not kept of a plugin: its backtraces have names only.
const LARGEST: usize = 16 << 20;
/// What wit-component adds around a core module says this in its name.
const WRAPPING: &str = "wit-component:";

type Reader = EndianArcSlice<LittleEndian>;

/// The debug information of a plugin; mostly none.
#[derive(Default)]
pub(crate) struct Symbols {
    modules: Vec<Module>,
    form: Option<Form>,
    /// What was put into the functions of a core module.
    insertions: Vec<Insertions>,
}

/// A core module that has debug information.
#[derive(Default)]
struct Module {
    /// Where it lies in the upload.
    range: Range<usize>,
    /// Where its code section begins in the upload; addresses in DWARF count from there.
    code: usize,
    imported_functions: usize,
    /// Where the bodies begin, counted from `code`.
    bodies: Vec<u32>,
    sections: HashMap<String, Arc<[u8]>>,
    // Not shared between threads by itself: it fills in what is asked for.
    context: OnceLock<Option<Mutex<Context<Reader>>>>,
}

/// A function of the guest's source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) function: Option<String>,
    /// `file:line` or `file:line:column`.
    pub(crate) location: Option<String>,
}

impl Symbols {
    /// Reads what an upload has. What cannot be read counts as absent.
    pub(crate) fn read(bytes: &[u8], form: Form, stop: Stop) -> Self {
        let mut modules = read(bytes).unwrap_or_default();
        let kept: usize = modules.iter().map(Module::size).sum();
        if kept > LARGEST {
            modules = Vec::new();
        }
        let insertions = if stop == Stop::Page && !modules.is_empty() {
            // The same as when it was compiled: the artifact's key has the version of the checks.
            checks::insert(bytes).map(|checked| checked.functions)
        } else {
            None
        };
        Self {
            modules,
            form: Some(form),
            insertions: insertions.unwrap_or_default(),
        }
    }

    /// The functions at a frame, the innermost first: more than one where functions were inlined.
    pub(crate) fn places(&self, frame: &FrameInfo) -> Vec<Place> {
        self.find(frame)
            .and_then(|(module, address)| module.places(address))
            .unwrap_or_default()
    }

    fn find(&self, frame: &FrameInfo) -> Option<(&Module, u64)> {
        let address = if self.form == Some(Form::CoreModule) {
            // Wrapping moved the module: count from the function.
            let wrapping = frame
                .module()
                .name()
                .is_some_and(|name| name.starts_with(WRAPPING));
            let module = self.modules.first().filter(|_| !wrapping)?;
            let index = (frame.func_index() as usize).checked_sub(module.imported_functions)?;
            let body = *module.bodies.get(index)? as usize;
            let place = frame.func_offset()?;
            let place = match self.insertions.get(index) {
                Some(insertions) => insertions.original(u32::try_from(place).ok()?) as usize,
                None => place,
            };
            (module, body + place)
        } else {
            let offset = frame.module_offset()?;
            let module = (self.modules.iter()).find(|module| module.range.contains(&offset))?;
            (module, offset.checked_sub(module.code)?)
        };
        Some((address.0, address.1 as u64))
    }
}

impl Module {
    fn size(&self) -> usize {
        self.sections.values().map(|section| section.len()).sum()
    }

    fn context(&self) -> Option<&Mutex<Context<Reader>>> {
        let context = self.context.get_or_init(|| {
            let dwarf = gimli::Dwarf::load(|id| {
                let section = self.sections.get(id.name()).cloned().unwrap_or_default();
                Ok::<_, gimli::Error>(Reader::new(section, LittleEndian))
            });
            dwarf.and_then(Context::from_dwarf).ok().map(Mutex::new)
        });
        context.as_ref()
    }

    fn places(&self, address: u64) -> Option<Vec<Place>> {
        let context = self
            .context()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut frames = context.find_frames(address).skip_all_loads().ok()?;
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref().and_then(|function| {
                let name = function.raw_name().ok()?;
                // Without the hashes of crates.
                Some(format!("{:#}", rustc_demangle::demangle(&name)))
            });
            let location = frame.location.and_then(|location| {
                let (file, line) = (location.file?, location.line?);
                Some(match location.column {
                    Some(column) => format!("{file}:{line}:{column}"),
                    None => format!("{file}:{line}"),
                })
            });
            places.push(Place { function, location });
        }
        Some(places)
    }
}

/// The core modules that have debug information.
fn read(bytes: &[u8]) -> Result<Vec<Module>, wasmparser::BinaryReaderError> {
    let mut found = Vec::new();
    // Modules and components nest; only the innermost module has code.
    let mut around = Vec::new();
    let mut module = Module {
        range: 0..bytes.len(),
        ..Module::default()
    };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                let inner = Module {
                    range: unchecked_range,
                    ..Module::default()
                };
                around.push(std::mem::replace(&mut module, inner));
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let function = matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    module.imported_functions += usize::from(function);
                }
            }
            Payload::CodeSectionStart { range, .. } => module.code = range.start,
            Payload::CodeSectionEntry(body) => {
                let start = body.range().start - module.code;
                module.bodies.push(u32::try_from(start).unwrap_or(u32::MAX));
            }
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                module
                    .sections
                    .insert(section.name().to_owned(), section.data().into());
            }
            Payload::End(_) => {
                let ended = around
                    .pop()
                    .map(|outer| std::mem::replace(&mut module, outer));
                let ended = ended.unwrap_or_else(|| std::mem::take(&mut module));
                if ended.sections.contains_key(".debug_line") {
                    found.push(ended);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

impl fmt::Debug for Symbols {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} modules with DWARF", self.modules.len())
    }
}
