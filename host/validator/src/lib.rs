//! A JSON Schema validator whose time and memory are bounded, whatever the schema and the data.
//!
//! Validation takes exponential time in general: where two parts of a schema lead to the same third one,
//! what is asked there is asked twice, and where that goes on the number doubles with each level of the
//! schema, or of the data. The crate `jsonschema` has no limit of its own. So a schema is first looked
//! through ([`looks`](self)): how often may one value be looked at? Nearly all schemas have a small number,
//! and their validator runs as it is. Others get a validator that counts its steps and stops.
//!
//! Pure: nothing is fetched. Knows nothing of contracts, events and comparisons.

mod counted;
mod deep;
mod fragment;
mod looks;
mod pattern;
mod places;
mod validator;

use std::sync::{Arc, OnceLock};

use jsonschema::{Draft, Registry, uri};
use serde_json::{Value, json};

pub use fragment::fragment;
pub use pattern::{PatternFlaw, pattern, pattern_flaw};
pub use places::{Parts, parts};
pub use validator::{Found, Validator, Verdict, message};

/// A schema document, prepared once; its parts are compiled one by one.
#[derive(Clone)]
pub struct Document(Arc<Prepared>);

struct Prepared {
    registry: Registry<'static>,
    draft: Draft,
    /// Where it stands: relative references count from here.
    address: String,
    /// Parts have addresses of their own, so what a reference means depends on where it stands.
    embedded: bool,
    /// The same with steps that are counted, once it is needed.
    counted: OnceLock<Result<Registry<'static>, String>>,
}

impl Document {
    /// Prepares a document that keeps the rules of its draft, to stand at an address.
    ///
    /// # Errors
    /// When it refers to what is not in it, to what is data and no schema, or when its validator would be
    /// too large.
    pub fn new(schema: &Value, draft: Draft, address: &str) -> Result<Self, String> {
        places::refuse_data(schema)?;
        let registry = registry(schema.clone(), draft, address)?;
        let document = Self(Arc::new(Prepared {
            registry,
            draft,
            address: address.to_owned(),
            embedded: places::has_embedded(schema),
            counted: OnceLock::new(),
        }));
        document.0.looker().refuse_large()?;
        Ok(document)
    }

    /// Compiles the part at a JSON Pointer.
    ///
    /// # Errors
    /// When it cannot be compiled: in the validator's words.
    pub fn validator(&self, pointer: &str) -> Result<Validator, String> {
        Validator::new(self.0.clone(), &fragment(pointer))
    }
}

fn registry(schema: Value, draft: Draft, address: &str) -> Result<Registry<'static>, String> {
    Registry::new()
        .draft(draft)
        .add(address, schema)
        .and_then(|builder| builder.prepare())
        .map_err(|error| error.to_string())
}

impl Prepared {
    /// The part at a fragment, as it is or with counted steps.
    fn compile(&self, fragment: &str, counting: bool) -> Result<jsonschema::Validator, String> {
        let registry = if counting {
            let counted = self.counted.get_or_init(|| {
                let schema = self.contents("#").ok_or("the schema is not at hand")?;
                registry(
                    counted::with_steps(schema, self.draft),
                    self.draft,
                    &self.address,
                )
            });
            counted.as_ref().map_err(Clone::clone)?
        } else {
            &self.registry
        };
        let mut options = jsonschema::options()
            .with_draft(self.draft)
            .with_registry(registry)
            .should_validate_formats(true)
            .with_pattern_options(pattern::options());
        if counting {
            options = options.with_keyword(counted::STEP, counted::keyword);
        }
        options
            .build(&json!({"$ref": format!("{}#{fragment}", self.address)}))
            .map_err(|error| error.to_string())
    }

    /// What a reference from the document's root means.
    fn contents(&self, reference: &str) -> Option<&Value> {
        let address = uri::from_str(&self.address).ok()?;
        let resolver = self.registry.resolver(address);
        let found = resolver.lookup(reference).ok()?;
        Some(found.contents())
    }

    fn looker(&self) -> looks::Looker<'_> {
        looks::Looker::new(self)
    }
}

#[cfg(test)]
mod tests;
