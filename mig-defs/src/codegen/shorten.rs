//! Generated code as a person writes it: short names and `use` lines in place of full paths.
//!
//! The generators name what is in the runtime crate by the path `mig_runtime::module::Name`. Here this becomes `Name`, with a
//! `use` line, or `module::Name` where the file has something else of that name, or where it is a function.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};

/// What the generators call the runtime crate.
pub(super) const RUNTIME: &str = "mig_runtime";

/// The names that a file uses of the runtime crate.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// Names that the file itself defines.
    taken: BTreeSet<String>,
    /// Module and name.
    used: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// For a file that defines these types.
    pub(super) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect(), used: BTreeMap::new() }
    }

    /// The path to the runtime crate, as the generators write it.
    pub(super) fn runtime() -> TokenStream {
        let name = format_ident!("{RUNTIME}");
        quote!(#name)
    }

    /// The tokens with short names.
    pub(super) fn shorten(&mut self, tokens: TokenStream) -> TokenStream {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut short = TokenStream::new();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            match tree {
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), self.shorten(group.stream()));
                    inner.set_span(group.span());
                    short.extend([TokenTree::Group(inner)]);
                    at += 1;
                }
                // mig_runtime :: module :: Name
                TokenTree::Ident(ident) if ident == RUNTIME => {
                    if let (Some(TokenTree::Ident(module)), Some(TokenTree::Ident(name))) =
                        (trees.get(at + 3), trees.get(at + 6))
                    {
                        short.extend(self.name(module, name));
                    }
                    at += 7;
                }
                other => {
                    short.extend([other.clone()]);
                    at += 1;
                }
            }
        }
        short
    }

    fn name(&mut self, module: &Ident, name: &Ident) -> TokenStream {
        let text = name.to_string();
        if self.taken.contains(&text) || text.starts_with(char::is_lowercase) {
            self.used.entry(module.to_string()).or_default().insert(String::from("self"));
            return quote!(#module::#name);
        }
        self.used.entry(module.to_string()).or_default().insert(text);
        quote!(#name)
    }

    /// The `use` lines, for a runtime crate at `path`.
    pub(super) fn lines(&self, path: &str) -> String {
        let mut text = String::new();
        for (module, names) in &self.used {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.sort_by_key(|name| *name != "self");
            let mut line = match &names[..] {
                ["self"] => format!("use {path}::{module};"),
                [name] => format!("use {path}::{module}::{name};"),
                _ => format!("use {path}::{module}::{{{}}};", names.join(", ")),
            };
            if line.len() > MAX_LINE {
                line = wrapped(&format!("use {path}::{module}::{{"), &names);
            }
            text += &line;
            text.push('\n');
        }
        text
    }
}

/// As prettyplease has it.
const MAX_LINE: usize = 89;

/// A `use` line with as many names on each line as fit.
fn wrapped(head: &str, names: &[&str]) -> String {
    let mut text = String::from(head);
    let mut line = String::new();
    for name in names {
        if line.len() + name.len() + 6 > MAX_LINE {
            text += &format!("\n    {}", line.trim_end());
            line.clear();
        }
        line += &format!("{name}, ");
    }
    text + &format!("\n    {}\n}};", line.trim_end())
}

/// Whether a stub's own locals, called `names`, would hide one of the argument's.
pub(super) fn prefix<'a>(names: &[&str], arguments: impl IntoIterator<Item = &'a str>) -> &'static str {
    if arguments.into_iter().any(|argument| names.contains(&argument)) { "mig_" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_imported_unless_the_file_has_them() {
        let mut imports = Imports::new([String::from("Item")]);
        let tokens =
            quote!(f(mig_runtime::mig::Item, [mig_runtime::port::PortName::NULL], mig_runtime::mig::buffer(1)));
        let short = imports.shorten(tokens).to_string();
        assert_eq!(short, quote!(f(mig::Item, [PortName::NULL], mig::buffer(1))).to_string());
        assert_eq!(imports.lines("crate"), "use crate::mig;\nuse crate::port::PortName;\n");
    }

    #[test]
    fn long_lines_are_wrapped() {
        let mut imports = Imports::default();
        let names: Vec<Ident> = (0..20).map(|number| format_ident!("Name{number:02}")).collect();
        imports.shorten(quote!(#(mig_runtime::mig::#names),*));
        let lines = imports.lines("crate");
        assert!(lines.lines().count() == 4 && lines.lines().all(|line| line.len() <= MAX_LINE), "{lines}");
    }
}
