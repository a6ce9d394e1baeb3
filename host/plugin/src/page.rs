//! The page by which a guest with checks is stopped: how the host learns where it is, and how it is
//! made inaccessible and accessible again. What the checks are is in [`crate::checks`].
//!
//! The page is a memory of the guest's module. A component gives its memories to nobody, so a function
//! is added to the wrapped component that answers with a list which lies in that memory: its address
//! is the page's.

use rustix::mm::{MprotectFlags, mprotect};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentSection, ComponentTypeSection, ComponentValType, ExportKind,
    InstanceSection, ModuleArg, PrimitiveValType, RawSection,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef, ExternalKind, Instance, Parser, Payload,
};
use wasmtime::{
    Store,
    component::{self, WasmList},
};

use crate::{checks, state::State};

/// The function that tells where the page is.
const EXPORT: &str = "sandbar-stop-page";
/// A page of WebAssembly, in bytes: whole pages of any machine.
pub(crate) const BYTES: usize = 64 << 10;
/// Answers with a list of one byte, at address 0.
const TELLER: &str = r#"(module
    (import "guest" "sandbar:stop" (memory 1 1))
    (func (export "page") (result i32)
        (i32.store (i32.const 4) (i32.const 1))
        (i32.const 0)))"#;

/// The page of one instance, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page(usize);

impl Page {
    /// Asks a fresh instance.
    pub(crate) fn of(
        instance: &component::Instance,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Self> {
        let teller = instance.get_typed_func::<(), (WasmList<u8>,)>(&mut *store, EXPORT)?;
        let (list,) = teller.call(&mut *store, ())?;
        Ok(Self(list.as_le_slice(&*store).as_ptr().addr()))
    }

    /// From now on the next check traps.
    pub(crate) fn close(self) -> std::io::Result<()> {
        self.protect(MprotectFlags::empty())
    }

    /// As it was.
    pub(crate) fn open(self) -> std::io::Result<()> {
        self.protect(MprotectFlags::READ | MprotectFlags::WRITE)
    }

    #[allow(unsafe_code)]
    fn protect(self, flags: MprotectFlags) -> std::io::Result<()> {
        // SAFETY: the address is that of a whole memory of an instance that is alive: the ticker
        // forgets a page, under the lock under which it closes pages, before its store goes back to the pool, and opens it
        // then. It is the one memory that no compiled function but `page` above and the checks name, and no
        // function of the hub's: a check is a store that may trap, and wasmtime makes a trap of its
        // fault; `page` is called once, before the ticker knows the address.
        unsafe { mprotect(self.0 as *mut _, BYTES, flags) }.map_err(Into::into)
    }
}

/// How many of each thing a component has; the next of its kind gets this index.
#[derive(Default)]
struct Counts {
    core_modules: u32,
    core_instances: u32,
    core_functions: u32,
    core_memories: u32,
    types: u32,
    functions: u32,
}

/// The component around a module with checks, with the function that tells where the page is. `None`
/// when it has not the shape that wit-component gives it.
pub(crate) fn expose(component: &[u8]) -> Option<Vec<u8>> {
    let (counts, guest) = count(component)?;
    let teller = wat::parse_str(TELLER).ok()?;
    let mut out = component.to_vec();
    // A core module as a section.
    RawSection {
        id: 1,
        data: &teller,
    }
    .append_to_component(&mut out);
    let mut instances = InstanceSection::new();
    instances.instantiate(counts.core_modules, [("guest", ModuleArg::Instance(guest))]);
    instances.append_to_component(&mut out);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: counts.core_instances,
        kind: ExportKind::Func,
        name: "page",
    });
    aliases.alias(Alias::CoreInstanceExport {
        instance: guest,
        kind: ExportKind::Memory,
        name: checks::MEMORY,
    });
    aliases.append_to_component(&mut out);
    let mut types = ComponentTypeSection::new();
    types
        .defined_type()
        .list(ComponentValType::Primitive(PrimitiveValType::U8));
    types
        .function()
        .async_(false)
        .params([] as [(&str, ComponentValType); 0])
        .result(Some(ComponentValType::Type(counts.types)));
    types.append_to_component(&mut out);
    let mut lifted = CanonicalFunctionSection::new();
    lifted.lift(
        counts.core_functions,
        counts.types + 1,
        [CanonicalOption::Memory(counts.core_memories)],
    );
    lifted.append_to_component(&mut out);
    let mut exports = ComponentExportSection::new();
    exports.export(EXPORT, ComponentExportKind::Func, counts.functions, None);
    exports.append_to_component(&mut out);
    Some(out)
}

/// Also the core instance of the guest's module.
fn count(component: &[u8]) -> Option<(Counts, u32)> {
    let mut counts = Counts::default();
    let (mut guest_module, mut guest) = (None, None);
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::End(_) => depth -= 1,
            Payload::Version { .. } => depth += 1,
            Payload::ExportSection(section) if depth == 2 => {
                for export in section {
                    if export.ok()?.name == checks::MEMORY {
                        guest_module = counts.core_modules.checked_sub(1);
                    }
                }
            }
            _ if depth > 1 => {}
            Payload::ModuleSection { .. } => counts.core_modules += 1,
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance.ok()?
                        && Some(module_index) == guest_module
                    {
                        guest = Some(counts.core_instances);
                    }
                    counts.core_instances += 1;
                }
            }
            Payload::ComponentTypeSection(section) => counts.types += section.count(),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import.ok()?.ty {
                        ComponentTypeRef::Module(_) => counts.core_modules += 1,
                        ComponentTypeRef::Func(_) => counts.functions += 1,
                        ComponentTypeRef::Type(_) => counts.types += 1,
                        _ => {}
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    counts.alias(&alias.ok()?);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    match function.ok()? {
                        CanonicalFunction::Lift { .. } => counts.functions += 1,
                        _ => counts.core_functions += 1,
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    counts.component_item(export.ok()?.kind);
                }
            }
            _ => {}
        }
    }
    Some((counts, guest?))
}

impl Counts {
    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => self.component_item(*kind),
            ComponentAlias::CoreInstanceExport { kind, .. } => match kind {
                ExternalKind::Func | ExternalKind::FuncExact => self.core_functions += 1,
                ExternalKind::Memory => self.core_memories += 1,
                _ => {}
            },
            ComponentAlias::Outer { kind, .. } => match kind {
                ComponentOuterAliasKind::CoreModule => self.core_modules += 1,
                ComponentOuterAliasKind::Type => self.types += 1,
                _ => {}
            },
        }
    }

    fn component_item(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.core_modules += 1,
            ComponentExternalKind::Func => self.functions += 1,
            ComponentExternalKind::Type => self.types += 1,
            _ => {}
        }
    }
}
