//! The answers of a check, and that they are never wrong; that documents which are made fit their schema.

mod generate;
mod harness;
mod hostile;
mod matrix;
mod soundness;
