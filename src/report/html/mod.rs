//! page
use crate::fit::SessionFit;
use super::Provenance;
/// page
pub fn page(_fit: &SessionFit, _p: &Provenance) -> String { String::new() }
