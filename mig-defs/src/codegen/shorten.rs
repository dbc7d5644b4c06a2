// SPDX-License-Identifier: GPL-2.0-or-later
//! Generated code as a person writes it: short names and `use` lines in place of full paths.
//!
//! The generators name what is in the runtime crate by the path `@::module::Name`. Here this becomes `Name`, with a
//! `use` line, or `module::Name` where the file has something else of that name, or where it is a function.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Group, Ident, Punct, Spacing, TokenStream, TokenTree};
use quote::{TokenStreamExt, quote};

/// What the generators call the runtime crate: nothing that is in generated code, and cheaper to copy than a name.
const RUNTIME: char = '@';

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
        TokenTree::from(Punct::new(RUNTIME, Spacing::Alone)).into()
    }

    /// The tokens with short names.
    pub(super) fn shorten(&mut self, tokens: TokenStream) -> TokenStream {
        let mut short = TokenStream::new();
        let mut trees = tokens.into_iter();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Group(group) => {
                    short.append(Group::new(group.delimiter(), self.shorten(group.stream())));
                }
                // @ :: module :: Name
                TokenTree::Punct(punct) if punct.as_char() == RUNTIME => {
                    if let (Some(TokenTree::Ident(module)), Some(TokenTree::Ident(name))) = (trees.nth(2), trees.nth(2))
                    {
                        self.name(module, name, &mut short);
                    }
                }
                other => short.append(other),
            }
        }
        short
    }

    fn name(&mut self, module: Ident, name: Ident, short: &mut TokenStream) {
        let text = name.to_string();
        let qualified = self.taken.contains(&text) || text.starts_with(char::is_lowercase);
        let names = self.used.entry(module.to_string()).or_default();
        if qualified {
            names.insert(String::from("self"));
            short.extend(quote!(#module::));
        } else if !names.contains(&text) {
            names.insert(text);
        }
        short.append(name);
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

#[cfg(test)]
mod tests {
    use super::*;
    use quote::format_ident;

    #[test]
    fn names_are_imported_unless_the_file_has_them() {
        let mut imports = Imports::new([String::from("Item")]);
        let rt = Imports::runtime();
        let tokens = quote!(f(#rt::mig::Item, [#rt::port::PortName::NULL], #rt::mig::buffer(1)));
        let short = imports.shorten(tokens).to_string();
        assert_eq!(short, quote!(f(mig::Item, [PortName::NULL], mig::buffer(1))).to_string());
        assert_eq!(imports.lines("crate"), "use crate::mig;\nuse crate::port::PortName;\n");
    }

    #[test]
    fn long_lines_are_wrapped() {
        let mut imports = Imports::default();
        let names: Vec<Ident> = (0..20).map(|number| format_ident!("Name{number:02}")).collect();
        let rt = Imports::runtime();
        imports.shorten(quote!(#(#rt::mig::#names),*));
        let lines = imports.lines("crate");
        assert!(lines.lines().count() == 4 && lines.lines().all(|line| line.len() <= MAX_LINE), "{lines}");
    }
}
