//! What uploaded bytes are: form, world, capabilities; and by name what does not fit.

use wasmtime::component::{Component, types::ComponentItem};

use crate::{
    Capability, Refusal, columns, http, lookup, records, state,
    wasi::{self, preview1},
    wrap,
};

/// What was uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    Component,
    CoreModule,
}

/// Which world of `wit/` the plugin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// Plain records.
    Transformer,
    /// Columns.
    ColumnTransformer,
}

impl Form {
    /// As in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::CoreModule => "core-module",
        }
    }
}

impl World {
    /// The world's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::ColumnTransformer => "column-transformer",
        }
    }
}

/// Interfaces without functions, which a component imports only for their types.
const TYPES: [&str; 3] = [
    "sandbar:transform/types@0.1.0",
    "sandbar:transform/records@0.1.0",
    "sandbar:transform/columns@0.1.0",
];

/// Tells a component from a core module by the 8 bytes at the head.
pub(crate) fn form(bytes: &[u8], limit: usize) -> Result<Form, Refusal> {
    if !bytes.starts_with(b"\0asm") {
        return Err(Refusal::NotWasm);
    }
    if bytes.len() > limit {
        return Err(Refusal::TooLarge {
            size: bytes.len(),
            limit,
        });
    }
    match bytes.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(Form::CoreModule),
        // Layer 1 in the upper half; wasmtime judges the version in the lower half.
        Some([_, _, 1, 0]) => Ok(Form::Component),
        Some(version) => Err(Refusal::Version(format!("{version:02x?}"))),
        None => Err(Refusal::Invalid(
            "it ends in the middle of the header".to_owned(),
        )),
    }
}

/// The world of a component and the capabilities that it imports.
pub(crate) fn component(component: &Component) -> Result<(World, Vec<Capability>), Refusal> {
    let engine = component.engine();
    let shape = component.component_type();
    let mut capabilities = Vec::new();
    let mut unknown = Vec::new();
    for (name, _) in shape.imports(engine) {
        match name {
            state::LOG => capabilities.push(Capability::Log),
            state::CLOCK => capabilities.push(Capability::Clock),
            state::RANDOM => capabilities.push(Capability::Random),
            lookup::INTERFACE => capabilities.push(Capability::Lookup),
            http::INTERFACE => capabilities.push(Capability::Http),
            name if TYPES.contains(&name) => {}
            name if name.starts_with(preview1::PACKAGE) || wasi::is_offered(name) => {
                capabilities.push(Capability::Wasi);
            }
            name => unknown.push(name.to_owned()),
        }
    }
    capabilities.sort_unstable();
    capabilities.dedup();
    let exports: Vec<String> = shape
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    match (wrap::missing_export(&exports), unknown.is_empty()) {
        (Some(missing), true) => return Err(Refusal::MissingExport(missing)),
        (Some(missing), false) => return Err(Refusal::OtherWorld { missing, unknown }),
        (None, false) => return Err(Refusal::UnknownImport(unknown)),
        (None, true) => {}
    }
    let wrong = |export: &str, detail: String| Refusal::WrongType {
        export: export.to_owned(),
        detail,
    };
    let function = |export: &str| match shape.get_export(engine, export).map(|export| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => Ok(function),
        _ => Err(wrong(export, "it is no function".to_owned())),
    };
    let types = shape.instance_type();
    function("configure")?
        .typecheck::<(&str,), (Result<(), records::Problem>,)>(&types)
        .map_err(|error| wrong("configure", format!("{error:#}")))?;
    let world = if exports.iter().any(|name| name == columns::EXPORT) {
        function(columns::EXPORT)?
            .typecheck::<columns::Parameters<'_>, columns::Results>(&types)
            .map_err(|error| wrong(columns::EXPORT, format!("{error:#}")))?;
        World::ColumnTransformer
    } else {
        function(records::EXPORT)?
            .typecheck::<records::Parameters<'_>, records::Results>(&types)
            .map_err(|error| wrong(records::EXPORT, format!("{error:#}")))?;
        World::Transformer
    };
    Ok((world, capabilities))
}
