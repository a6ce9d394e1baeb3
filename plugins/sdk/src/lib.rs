//! Write a Sandbar plugin in Rust: one function on one event, and one line of registration.
//!
//! ```
//! use sandbar_sdk::{Event, Output, Problem, Verdict};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Order<'a> {
//!     number: u64,
//!     customer: &'a str,
//! }
//!
//! #[derive(Serialize)]
//! struct Parcel<'a> {
//!     order: u64,
//!     to: &'a str,
//! }
//!
//! fn transform(event: &Event<'_>) -> Result<Verdict, Problem> {
//!     if event.r#type() != "shop.order.paid" {
//!         return Ok(Verdict::drop("not paid"));
//!     }
//!     let order: Order<'_> = event.json()?;
//!     let parcel = Output::json(&Parcel { order: order.number, to: order.customer })?;
//!     Ok(Verdict::emit(parcel.r#type("dispatch.parcel")))
//! }
//!
//! sandbar_sdk::plugin!(transform);
//! ```
//!
//! Build it as a `cdylib` with `cargo build --target wasm32-unknown-unknown` and upload the module:
//! the hub makes it a component. In `cargo test` the function runs natively, see [`mod@test`].
//!
//! What comes in and goes out crosses the boundary in columns (the world `column-transformer` of
//! `wit/`); this crate hides that, and parses nothing that is not asked for. A panic becomes a log
//! line and a trap, and the hub parks the event that caused it.

#[cfg(target_arch = "wasm32")]
mod allocator;
#[allow(unsafe_code, clippy::all, missing_docs)]
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod column;
mod event;
#[doc(hidden)]
pub mod guest;
pub mod http;
pub mod json;
pub mod log;
pub mod lookup;
pub mod media;
mod output;
mod problem;
pub mod random;
pub mod test;
mod verdict;

pub use event::Event;
pub use output::Output;
pub use problem::Problem;
pub use verdict::{IntoVerdict, Verdict};

/// Registers the plugin's function.
///
/// - `plugin!(transform)` with `fn transform(&Event<'_>) -> Verdict`;
/// - `plugin!(transform, config: Config)` with `fn transform(&Event<'_>, &Config) -> Verdict`;
///   `Config` is any `serde::Deserialize + 'static`. The route's step config is read into it once;
///   what does not fit is refused when the route is created, with serde's message. A route without
///   config gives `null`.
///
/// Instead of [`Verdict`] the function may return anything that is [`IntoVerdict`], so `?` works.
#[macro_export]
macro_rules! plugin {
    ($transform:path) => {
        const _: () = {
            struct Plugin;

            impl $crate::bindings::Guest for Plugin {
                fn configure(
                    _config: ::std::string::String,
                ) -> ::core::result::Result<(), $crate::guest::Problem> {
                    $crate::guest::start();
                    ::core::result::Result::Ok(())
                }

                fn transform_columns(batch: $crate::guest::Batch) -> $crate::guest::Verdicts {
                    $crate::guest::run(batch, |event| $transform(event))
                }
            }

    $crate::bindings::export_guest!(Plugin with_types_in $crate::bindings);
        };
    };
    ($transform:path, config: $config:ty) => {
        const _: () = {
            struct Plugin;

            ::std::thread_local! {
                static CONFIG: ::core::cell::Cell<::core::option::Option<&'static $config>> =
                    const { ::core::cell::Cell::new(::core::option::Option::None) };
            }

            impl $crate::bindings::Guest for Plugin {
                fn configure(
                    config: ::std::string::String,
                ) -> ::core::result::Result<(), $crate::guest::Problem> {
                    $crate::guest::start();
                    let config: $config = $crate::guest::read_config(&config)?;
                    // Once per instance, for its whole life.
                    CONFIG.set(::core::option::Option::Some(::std::boxed::Box::leak(
                        ::std::boxed::Box::new(config),
                    )));
                    ::core::result::Result::Ok(())
                }

                fn transform_columns(batch: $crate::guest::Batch) -> $crate::guest::Verdicts {
                    let config = CONFIG.get().expect("the hub calls configure first");
                    $crate::guest::run(batch, |event| $transform(event, config))
                }
            }

    $crate::bindings::export_guest!(Plugin with_types_in $crate::bindings);
        };
    };
}
