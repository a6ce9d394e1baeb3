//! A contract that is compiled when it is first asked for: of thousands of versions few are in use, and a
//! hub that starts need not wait for the others, nor hold them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::{Contract, Definition, Format, InvalidSchema, Violation, Violations};

/// A definition and, once it was asked for, its contract.
pub struct Lazy {
    definition: Arc<Definition>,
    compiled: OnceLock<Result<Contract, InvalidSchema>>,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lazy").field(&self.compiled.get()).finish()
    }
}

impl Lazy {
    /// Of a complete definition.
    #[must_use]
    pub fn new(definition: Arc<Definition>) -> Self {
        Self {
            definition,
            compiled: OnceLock::new(),
        }
    }

    /// The contract. The first call compiles, which may take milliseconds; others that call meanwhile wait.
    ///
    /// # Errors
    /// As [`Contract::compile`]: what was registered could be compiled then, by the version of the hub
    /// that there was.
    pub fn get(&self) -> Result<&Contract, &InvalidSchema> {
        self.compiled
            .get_or_init(|| Contract::compile(&self.definition))
            .as_ref()
    }

    /// Whether it was compiled.
    #[must_use]
    pub fn is_compiled(&self) -> bool {
        self.compiled.get().is_some()
    }

    /// As [`Contract::check`]; where the contract cannot be compiled, no event fits.
    ///
    /// # Errors
    /// When the event does not fit.
    pub fn check(
        &self,
        event_type: &str,
        datacontenttype: &str,
        data: &[u8],
    ) -> Result<(), Violations> {
        self.usable()?.check(event_type, datacontenttype, data)
    }

    /// As [`Contract::check_value`].
    ///
    /// # Errors
    /// When the data does not fit.
    pub fn check_value(&self, event_type: &str, data: &Value) -> Result<(), Violations> {
        self.usable()?.check_value(event_type, data)
    }

    /// The format of the schema, which needs no compiling.
    #[must_use]
    pub fn format(&self) -> Format {
        self.definition.format
    }

    /// The contract, or why no event fits it.
    ///
    /// # Errors
    /// When it cannot be compiled.
    pub fn usable(&self) -> Result<&Contract, Violations> {
        self.get().map_err(|invalid| {
            let reason = format!("the contract cannot be used: {invalid}");
            Violation::new("", &invalid.pointer, reason).into()
        })
    }
}
