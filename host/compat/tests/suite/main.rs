//! The answers of a check, and that they are never wrong.

mod harness;
mod hostile;
mod matrix;
mod soundness;
