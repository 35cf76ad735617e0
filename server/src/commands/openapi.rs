//! `stedi-server openapi`: what the service says about itself, without starting it.

use std::io::Write;

use super::Outcome;
use crate::api::openapi;

/// Prints it.
pub(super) fn run() -> Outcome {
    writeln!(std::io::stdout(), "{}", openapi().to_pretty_json()?)?;
    Ok(())
}
