//! Model to user stubs.
use crate::model::Model;
use std::string::String;
use std::vec::Vec;
/// Left out.
pub fn left_out(_model: &Model) -> Vec<(String, String)> {
    Vec::new()
}
/// Generate.
pub fn generate(_context: &super::Context<'_>) -> anyhow::Result<String> {
    Ok(String::new())
}
