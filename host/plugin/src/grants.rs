//! What a step grants: which capabilities, and what stands behind those that reach out of the
//! sandbox. Who grants says what may be reached; nothing in here judges it.

use std::{fmt, sync::Arc};

use crate::{Capability, http::Http, lookup::Lookup};

/// The capabilities of one step. The default grants none beyond those that every step has.
#[derive(Clone, Default)]
pub struct Grants {
    pub clock: bool,
    pub random: bool,
    pub lookup: Option<Arc<dyn Lookup>>,
    pub http: Option<Arc<dyn Http>>,
}

impl Grants {
    /// The capabilities that need nothing behind them; others are passed over.
    #[must_use]
    pub fn of(capabilities: &[Capability]) -> Self {
        Self {
            clock: capabilities.contains(&Capability::Clock),
            random: capabilities.contains(&Capability::Random),
            ..Self::default()
        }
    }

    /// Whether the step has this capability.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::Log | Capability::Wasi => true,
            Capability::Clock => self.clock,
            Capability::Random => self.random,
            Capability::Lookup => self.lookup.is_some(),
            Capability::Http => self.http.is_some(),
        }
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = Capability::ALL.into_iter().filter(|one| self.has(*one));
        formatter.debug_set().entries(granted).finish()
    }
}
