//! Makes a component of a core module, as `cargo build --target wasm32-unknown-unknown` writes it.
//!
//! A module made with `wit-bindgen` carries the description of its world; one without it (written
//! by hand, or by a compiler that knows nothing of components) gets the description of the world
//! whose exports it has.

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::{
    Refusal, http, lookup, state,
    wasi::{self, preview1},
};

const WIT: &str = include_str!("../../../wit/transform.wit");
/// The two worlds with all capabilities: wit-component keeps those that the module calls.
const WORLDS: &str = "
    package sandbar:hub;
    world transformer {
        include sandbar:transform/transformer@0.1.0;
        import sandbar:transform/clock@0.1.0;
        import sandbar:transform/random@0.1.0;
        import sandbar:transform/lookup@0.1.0;
        import sandbar:transform/http@0.1.0;
    }
    world column-transformer {
        include sandbar:transform/column-transformer@0.1.0;
        import sandbar:transform/clock@0.1.0;
        import sandbar:transform/random@0.1.0;
        import sandbar:transform/lookup@0.1.0;
        import sandbar:transform/http@0.1.0;
    }
";
/// The interfaces that a core module may import.
const INTERFACES: [&str; 5] = [
    state::LOG,
    state::CLOCK,
    state::RANDOM,
    lookup::INTERFACE,
    http::INTERFACE,
];
/// Export names of the newer convention start with this; wit-component judges those alone.
const STANDARD_NAMES: &str = "cm32p2";

/// What a core module offers and asks for.
#[derive(Default)]
struct Outline {
    /// `module::name` of each import that no world has.
    unknown_imports: Vec<String>,
    exports: Vec<String>,
    described: bool,
    /// Whether it asks for `wasi_snapshot_preview1`.
    preview1: bool,
}

/// The component around a core module.
pub(crate) fn core_module(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let outline = outline(bytes)?;
    let has = |name: &str| outline.exports.iter().any(|export| export == name);
    if !outline
        .exports
        .iter()
        .any(|name| name.starts_with(STANDARD_NAMES))
    {
        let missing = missing_export(&outline.exports);
        match (missing, outline.unknown_imports.is_empty()) {
            (Some(missing), true) => return Err(Refusal::MissingExport(missing)),
            (Some(missing), false) => {
                return Err(Refusal::OtherWorld {
                    missing,
                    unknown: outline.unknown_imports,
                });
            }
            (None, false) => return Err(Refusal::UnknownImport(outline.unknown_imports)),
            (None, true) => {}
        }
        // Every world's batch is placed by the host into the guest's memory.
        if let Some(missing) = ["memory", "cabi_realloc"]
            .into_iter()
            .find(|name| !has(name))
        {
            return Err(Refusal::MissingExport(missing.to_owned()));
        }
    }
    let described;
    let module = if outline.described {
        bytes
    } else {
        described = describe(
            bytes,
            if has("transform-columns") {
                "column-transformer"
            } else {
                "transformer"
            },
        )?;
        &described
    };
    let unwrappable = |error: String| Refusal::Unwrappable(error);
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .map_err(|error| unwrappable(format!("{error:#}")))?;
    if outline.preview1 {
        let adapter = preview1::adapter().map_err(unwrappable)?;
        encoder = encoder
            .adapter(preview1::MODULE, adapter)
            .map_err(|error| unwrappable(format!("{error:#}")))?;
    }
    encoder
        .encode()
        .map_err(|error| unwrappable(format!("{error:#}")))
}

/// The first export that is missing for either world.
pub(crate) fn missing_export(exports: &[String]) -> Option<String> {
    let has = |name: &str| exports.iter().any(|export| export == name);
    if !has("transform") && !has("transform-columns") {
        Some("transform or transform-columns".to_owned())
    } else if !has("configure") {
        Some("configure".to_owned())
    } else {
        None
    }
}

fn outline(bytes: &[u8]) -> Result<Outline, Refusal> {
    let invalid = |error: wasmparser::BinaryReaderError| Refusal::Invalid(error.to_string());
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    if import.module == preview1::MODULE {
                        outline.preview1 = true;
                        continue;
                    }
                    let known = INTERFACES.contains(&import.module)
                        || wasi::is_offered(import.module)
                        || import.module.starts_with(STANDARD_NAMES);
                    if !known {
                        outline
                            .unknown_imports
                            .push(format!("{}::{}", import.module, import.name));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    outline
                        .exports
                        .push(export.map_err(invalid)?.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                outline.described = true;
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn describe(bytes: &[u8], world: &str) -> Result<Vec<u8>, Refusal> {
    let mut resolve = Resolve::default();
    let mut module = bytes.to_vec();
    let embedded = resolve
        .push_source("transform.wit", WIT)
        .and_then(|_| resolve.push_source("hub.wit", WORLDS))
        .and_then(|package| resolve.select_world(&[package], Some(world)))
        .and_then(|world| {
            wit_component::embed_component_metadata(
                &mut module,
                &resolve,
                world,
                StringEncoding::UTF8,
            )
        });
    embedded.map_err(|error| Refusal::Unwrappable(format!("{error:#}")))?;
    Ok(module)
}
