// SPDX-License-Identifier: GPL-2.0-or-later
//! The part of the C preprocessor that .defs use: includes, macros, conditionals, comments.
//!
//! Of an included C header (`.h`) only the directives count: .defs take macros from one, and what else stands in it is C, which a C compiler
//! reads and migcom, which is given it, refuses.
//!
//! Works on tokens, not text, so every token keeps the span of the place it was written at; a token that comes out of a
//! macro has the span of the macro's use. Not supported: trigraphs, variadic macros, `#if` on character constants.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::{Files, SourceMap, Span};

mod condition;
mod macros;
mod scan;

use macros::{FILE_COST, Macro, Macros};
pub use scan::{Kind, Token};

/// Most files open at once.
const MAX_DEPTH: usize = 64;

/// Headers of the Hurd's C library that its .defs include and that no other system has: what a .defs file needs of them.
const BUILT_IN: &[(&str, &str)] = &[
    ("bits/utsname.h", "#ifndef _UTSNAME_LENGTH\n#define _UTSNAME_LENGTH 1024\n#endif\n"),
    // The requests' numbers are in comments; nothing of this header gets into a message.
    ("bits/ioctls.h", ""),
];

/// What the command line says about preprocessing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where `#include` looks, in order.
    pub include: Vec<PathBuf>,
    /// Macros defined from the start: name and replacement text.
    pub define: Vec<(String, String)>,
}

/// Preprocesses `path` and everything it includes into one list of tokens.
pub fn preprocess(
    path: &Path,
    options: &Options,
    files: &dyn Files,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    let mut run = Preprocessor {
        options,
        files,
        sources,
        diagnostics,
        macros: Macros::new(),
        output: Vec::new(),
        pending: Vec::new(),
        once: BTreeSet::new(),
    };
    for (name, value) in &options.define {
        let file = run.sources.add(PathBuf::from("(command line)"), value.clone());
        let body = scan::scan_file(run.sources, file, run.diagnostics).concat();
        run.macros.defined.insert(Rc::from(name.as_str()), Macro { parameters: None, body });
    }
    match run.files.read(path) {
        Ok(text) => run.file(path, text, 0),
        Err(error) => {
            let file = run.sources.add(path.to_path_buf(), String::new());
            run.cannot_read(path, Span { file, start: 0, end: 0 }, &error);
        }
    }
    run.output
}

/// One open `#if`.
struct Conditional {
    span: Span,
    /// Whether the lines of the present branch count.
    active: bool,
    /// Whether a branch was already taken, or the whole thing stands in a skipped part.
    done: bool,
    seen_else: bool,
}

struct Preprocessor<'a> {
    options: &'a Options,
    files: &'a dyn Files,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
    macros: Macros,
    output: Vec<Token>,
    /// Tokens since the last directive: a macro call may go over several lines.
    pending: Vec<Token>,
    once: BTreeSet<PathBuf>,
}

impl Preprocessor<'_> {
    fn file(&mut self, path: &Path, text: String, depth: usize) {
        let file = self.sources.add(path.to_path_buf(), text);
        let lines = scan::scan_file(self.sources, file, self.diagnostics);
        let mut conditionals: Vec<Conditional> = Vec::new();
        let is_header = depth > 0 && path.extension().is_some_and(|extension| extension == "h");
        for line in lines {
            let is_directive = line.first().is_some_and(|token| token.is_punct("#"));
            if is_directive {
                self.directive(path, &line, &mut conditionals, depth);
            } else if !is_header && conditionals.last().is_none_or(|conditional| conditional.active) {
                self.pending.extend(line);
            }
        }
        self.flush();
        if let Some(open) = conditionals.last() {
            self.diagnostics.report(Code::UnbalancedConditional, open.span, "this #if has no #endif");
        }
    }

    fn cannot_read(&mut self, path: &Path, span: Span, error: &io::Error) {
        let message = format!("cannot read `{}`: {error}", path.display());
        self.diagnostics.report(Code::CannotRead, span, message);
    }

    /// Expands the macros in the text since the last directive.
    fn flush(&mut self) {
        let pending = core::mem::take(&mut self.pending);
        if !pending.is_empty() {
            let expanded = macros::expand(&self.macros, pending, self.diagnostics);
            self.output.extend(expanded);
        }
    }

    fn directive(&mut self, path: &Path, line: &[Token], conditionals: &mut Vec<Conditional>, depth: usize) {
        let Some(name) = line.get(1) else { return };
        let rest = &line[2..];
        if self.conditional(name, rest, conditionals) || conditionals.last().is_some_and(|open| !open.active) {
            return;
        }
        self.flush();
        match &*name.text {
            "include" | "include_next" => self.include(path, name.span, rest, depth),
            "define" => match macros::parse_define(rest) {
                Some((name, definition)) => {
                    self.macros.defined.insert(name, definition);
                }
                None => self.diagnostics.report(Code::BadDirective, name.span, "#define needs a name"),
            },
            "undef" => {
                if let Some(name) = rest.first() {
                    self.macros.defined.remove(&name.text);
                }
            }
            "error" => {
                let text = scan::join(rest);
                self.diagnostics.report(Code::ErrorDirective, name.span, format!("#error {text}"));
            }
            "pragma" => {
                if rest.first().is_some_and(|token| &*token.text == "once") {
                    self.once.insert(path.to_path_buf());
                }
            }
            "warning" | "ident" | "line" => {}
            // `# 12 "file.defs"`: the line marker of an earlier preprocessor run.
            _ if name.kind == Kind::Number => {}
            other => {
                self.diagnostics.push(Diagnostic::new(Code::BadDirective, name.span, "unknown directive").expected(
                    "include, define, undef, if, ifdef, ifndef, elif, else, endif or error",
                    other.to_string(),
                ))
            }
        }
    }

    /// Handles the conditional directives; false if `name` is not one of them.
    fn conditional(&mut self, name: &Token, rest: &[Token], conditionals: &mut Vec<Conditional>) -> bool {
        let enclosing = conditionals.last().is_none_or(|open| open.active);
        match &*name.text {
            "if" | "ifdef" | "ifndef" => {
                self.flush();
                let holds = enclosing && self.holds(name, rest);
                let done = holds || !enclosing;
                conditionals.push(Conditional { span: name.span, active: holds, done, seen_else: false });
            }
            "elif" | "else" => {
                self.flush();
                let is_else = &*name.text == "else";
                let untaken = conditionals.last().is_some_and(|open| !open.done && !open.seen_else);
                let holds = untaken && (is_else || self.holds(name, rest));
                match conditionals.last_mut() {
                    Some(open) if !open.seen_else => {
                        open.active = holds;
                        open.done |= holds;
                        open.seen_else = is_else;
                    }
                    _ => {
                        let message = format!("#{} without #if", name.text);
                        self.diagnostics.report(Code::UnbalancedConditional, name.span, message);
                    }
                }
            }
            "endif" => {
                self.flush();
                if conditionals.pop().is_none() {
                    self.diagnostics.report(Code::UnbalancedConditional, name.span, "#endif without #if");
                }
            }
            _ => return false,
        }
        true
    }

    fn holds(&mut self, name: &Token, rest: &[Token]) -> bool {
        match &*name.text {
            "ifdef" | "ifndef" => {
                let Some(word) = rest.first() else {
                    self.diagnostics.report(Code::BadCondition, name.span, format!("#{} needs a name", name.text));
                    return false;
                };
                self.macros.defined.contains_key(&word.text) == (&*name.text == "ifdef")
            }
            _ => condition::evaluate(&self.macros, name.span, rest, self.diagnostics),
        }
    }

    fn include(&mut self, path: &Path, span: Span, rest: &[Token], depth: usize) {
        // What stands between quotes or angle brackets is a file name, whatever macros are called so.
        let literal = rest.first().is_some_and(|first| first.is_punct("<") || first.text.starts_with('"'));
        let text = match literal {
            true => scan::join(rest),
            false => scan::join(&macros::expand(&self.macros, rest.to_vec(), self.diagnostics)),
        };
        let (name, beside) = match (text.strip_prefix('"'), text.strip_prefix('<')) {
            (Some(quoted), _) if quoted.ends_with('"') => (&quoted[..quoted.len() - 1], true),
            (_, Some(angled)) if angled.ends_with('>') => (&angled[..angled.len() - 1], false),
            _ => {
                let wrong = Diagnostic::new(Code::BadDirective, span, "malformed #include");
                self.diagnostics.push(wrong.expected("\"file\" or <file>", format!("`{text}`")));
                return;
            }
        };
        if depth >= MAX_DEPTH {
            self.diagnostics.report(Code::IncludeDepth, span, format!("{MAX_DEPTH} files are open at `{name}`"));
            return;
        }
        let own = beside.then(|| path.parent().unwrap_or(Path::new("")).to_path_buf());
        let candidates = own.into_iter().chain(self.options.include.iter().cloned()).map(|dir| dir.join(name));
        for candidate in candidates.collect::<Vec<_>>() {
            if self.once.contains(&candidate) {
                return;
            }
            match self.files.read(&candidate) {
                Ok(text) => {
                    if self.macros.spend(FILE_COST + text.len(), span, self.diagnostics) {
                        self.file(&candidate, text, depth + 1);
                    }
                    return;
                }
                // As C's preprocessors do: only what is not there is looked for elsewhere.
                Err(error) if is_absent(&error) => {}
                Err(error) => return self.cannot_read(&candidate, span, &error),
            }
        }
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return self.file(Path::new(name), (*text).to_string(), depth + 1);
        }
        let places: Vec<String> = self.options.include.iter().map(|dir| dir.display().to_string()).collect();
        let message = format!("`{name}` is not in any include directory ({})", places.join(", "));
        self.diagnostics.report(Code::IncludeNotFound, span, message);
    }
}

/// Whether there is no such file.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}

/// Preprocesses text that includes nothing; for tests and for [`Options::define`].
pub fn preprocess_text(text: &str, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let path = PathBuf::from("text.defs");
    let files = crate::source::Memory(BTreeMap::from([(path.clone(), text.to_string())]));
    preprocess(&path, &Options::default(), &files, sources, diagnostics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;
    use std::vec;

    fn run(text: &str) -> (String, Vec<Code>) {
        run_files(&[("main.defs", text)], &[])
    }

    fn run_files(files: &[(&str, &str)], define: &[(&str, &str)]) -> (String, Vec<Code>) {
        let memory = Memory(files.iter().map(|(path, text)| (PathBuf::from(path), text.to_string())).collect());
        let mut sources = SourceMap::default();
        let mut diagnostics = Diagnostics::default();
        let options = Options {
            include: vec![PathBuf::from("inc")],
            define: define.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        let tokens = preprocess(Path::new(files[0].0), &options, &memory, &mut sources, &mut diagnostics);
        let text = tokens.iter().map(|token| &*token.text).collect::<Vec<_>>().join(" ");
        (text, diagnostics.list().iter().map(|diagnostic| diagnostic.code).collect())
    }

    #[test]
    fn conditionals_nest_and_skipped_parts_are_not_evaluated() {
        let text = "#if 0\n#if 1/0\nx\n#else\ny\n#endif\n#elif defined(A) || !B\nz\n#else\nw\n#endif\n";
        assert_eq!(run(text), ("z".to_string(), vec![]));
    }

    #[test]
    fn every_operator_of_a_condition() {
        for (condition, expected) in [
            ("1 + 2 * 3 == 7", true),
            ("(1 + 2) * 3 == 7", false),
            ("defined X && X > 1", true),
            ("!defined(MACH_VM_DEBUG) || MACH_VM_DEBUG", true),
            ("1 ? 0 : 1", false),
            ("~0 == -1 && (6 & 3) == 2 && (6 | 1) == 7 && (6 ^ 2) == 4", true),
            ("1 << 4 >= 16 && 7 % 4 != 2 && 8 / 2 <= 4", true),
            ("0x10 == 16 && 010 == 8 && 16UL == 16", true),
        ] {
            let (text, codes) = run(&format!("#define X 2\n#if {condition}\nyes\n#else\nno\n#endif\n"));
            assert_eq!(codes, [], "{condition}");
            assert_eq!(text == "yes", expected, "{condition}");
        }
    }

    #[test]
    fn macros_with_arguments_paste_and_quote() {
        let text =
            "#define RPT(n,t) n##_t : t\n#define S(x) #x\n#define TWO(x) x x\nRPT(a,\n b); S(q r); TWO(TWO(z)) TWO";
        assert_eq!(run(text).0, "a_t : b ; \"q r\" ; z z z z TWO");
    }

    #[test]
    fn a_macro_that_names_itself_stops() {
        assert_eq!(run("#define a b a\n#define b a\na").0, "a a");
    }

    #[test]
    fn includes_are_searched_and_guards_work() {
        let files = [
            ("dir/main.defs", "#include \"side.defs\"\n#include <lib.defs>\n#include <lib.defs>\nend"),
            ("dir/side.defs", "side"),
            ("inc/lib.defs", "#ifndef L\n#define L\nlib\n#endif\n"),
        ];
        assert_eq!(run_files(&files, &[]), ("side lib end".to_string(), vec![]));
    }

    #[test]
    fn macros_name_files_but_do_not_change_names_in_brackets() {
        let text = "#define lib other\n#define FILE <lib.defs>\n#include <lib.defs>\n#undef lib\n#include FILE\n";
        assert_eq!(
            run_files(&[("main.defs", text), ("inc/lib.defs", "found")], &[]),
            ("found found".to_string(), vec![])
        );
    }

    #[test]
    fn headers_of_the_hurds_c_library_are_built_in_and_give_way_to_real_ones() {
        let text = "#include <bits/utsname.h>\n#include <bits/ioctls.h>\n_UTSNAME_LENGTH";
        assert_eq!(run(text), ("1024".to_string(), vec![]));
        let files = [("main.defs", text), ("inc/bits/utsname.h", "#define _UTSNAME_LENGTH 64\n")];
        assert_eq!(run_files(&files, &[]), ("64".to_string(), vec![]));
    }

    #[test]
    fn of_a_c_header_only_the_macros_count() {
        let header = "#ifndef H\n#define H\n#define LENGTH 16\nenum direction\n  {\n    NONE = 0, /* 'no' */\n    BOTH = (1|2)\n  };\n\
                      #define LETTER(x) ((x) - 'f')\nextern int f (const char *name);\n#include \"more.h\"\n#endif\n";
        let files = [
            ("main.defs", "before\n#include <types.h>\nLENGTH MORE\n"),
            ("inc/types.h", header),
            ("inc/more.h", "typedef long more_t;\n#define MORE 8\n"),
        ];
        assert_eq!(run_files(&files, &[]), ("before 16 8".to_string(), vec![]));
        // A file of its own is taken as it is, whatever it is called.
        assert_eq!(run_files(&[("main.h", "routine")], &[]), ("routine".to_string(), vec![]));
    }

    #[test]
    fn command_line_macros_may_hold_statements() {
        let (text, codes) = run_files(&[("m.defs", "#ifdef I\nI\n#endif\n")], &[("I", "import <a/b.h>;")]);
        assert_eq!((text.as_str(), codes), ("import < a / b . h > ;", vec![]));
    }

    #[test]
    fn faults_are_numbered() {
        for (text, code) in [
            ("#if 1\n", Code::UnbalancedConditional),
            ("#endif\n", Code::UnbalancedConditional),
            ("#else\n", Code::UnbalancedConditional),
            ("#if (1\n#endif\n", Code::BadCondition),
            ("#if 1/0\n#endif\n", Code::BadCondition),
            ("#include <nowhere.h>\n", Code::IncludeNotFound),
            ("#include nowhere\n", Code::BadDirective),
            ("#frob\n", Code::BadDirective),
            ("#error no\n", Code::ErrorDirective),
            ("#include \"main.defs\"\n", Code::IncludeDepth),
            ("#define F(a,b) a\nF(1)\n", Code::BadMacroCall),
            ("#define F(a,b) a\nF(1\n", Code::BadMacroCall),
            ("a /* b\n", Code::UnterminatedComment),
        ] {
            assert_eq!(run(text).1.first(), Some(&code), "{text}");
        }
    }
}
