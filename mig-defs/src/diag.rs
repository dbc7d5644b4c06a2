// SPDX-License-Identifier: GPL-2.0-or-later
//! Diagnostics: the numbered catalogue, and how one is shown with its source line.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::source::{SourceMap, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The output is what the file asks for; something in it looks unintended.
    Warning,
    /// A declaration is left out of the output.
    Error,
}

macro_rules! catalogue {
    ($($code:ident = $number:literal, $severity:ident, $title:literal, $explanation:literal;)*) => {
        /// What can be wrong. The numbers are stable: never reused, never renumbered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// One line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// What it means and what to do about it.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$code => $explanation,)* }
            }

            /// Whether it stops a declaration from being used.
            pub fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)* }
            }
        }
    };
}

catalogue! {
    CannotRead = 1, Error, "a file cannot be read",
        "A file named on the command line or by an #include could not be opened or read, with the system's reason, or is text in UTF-16 or UTF-32. Files are to be ASCII or UTF-8; a byte order mark of UTF-8 at their start is skipped, as C's preprocessors do.";
    UnterminatedComment = 2, Error, "a comment is never closed",
        "A /* without its */ would swallow the rest of the file. C comments do not nest.";
    BadDirective = 3, Error, "a preprocessor directive is malformed",
        "Known are #include, #define, #undef, #if, #ifdef, #ifndef, #elif, #else, #endif, #error, #warning, #pragma and line markers.";
    UnbalancedConditional = 4, Error, "#if and #endif do not match",
        "Every #if, #ifdef and #ifndef needs its own #endif in the same file; #else and #elif stand between them.";
    BadCondition = 5, Error, "an #if expression is malformed",
        "Conditions are integer expressions with defined(), ! ~ - + * / % << >> < > <= >= == != & ^ | && || ?: and parentheses. A name that is not a macro counts as 0.";
    IncludeNotFound = 6, Error, "an included file is not found",
        "#include \"x\" looks beside the including file and then in the -I directories, #include <x> in the -I directories only, in the order given.";
    ErrorDirective = 7, Error, "an #error directive is active",
        "The file itself says that this combination of macros is not meant to be compiled.";
    BadMacroCall = 8, Error, "a macro is called with the wrong arguments",
        "A macro with parameters needs as many arguments as its #define has parameters, within one pair of parentheses.";
    IncludeDepth = 9, Error, "files include each other without end",
        "More than 64 files are open at once. A missing include guard (#ifndef ... #define ... #endif) is the usual reason.";
    BadCharacter = 10, Error, "a character has no meaning here",
        "The .defs language uses letters, digits, _ and : ; , + - * / ( ) = ^ ~ < > [ ] { } |.";
    UnterminatedString = 11, Error, "a quoted string is not closed on its line",
        "Strings occur in import \"file.h\" and rcsid \"...\"; they cannot go over a line end.";
    NumberTooLarge = 12, Error, "a number does not fit 32 bits",
        "Sizes, counts and message ids are unsigned 32-bit numbers in decimal.";
    TooMuchText = 13, Error, "includes or macros grow without end",
        "Files that include each other, or macros that stand for several of one another, can double the text with every step. What comes after the limit is left out.";
    TooDeep = 14, Error, "something is nested too deeply",
        "Types, expressions and macro calls can be nested at least 64 deep; no interface needs more than a few.";
    Syntax = 20, Error, "the grammar wants something else here",
        "The parser follows MIG's own grammar. The rest of the statement, up to its semicolon, is skipped.";
    RemovedFromMig = 21, Error, "this was removed from MIG",
        "procedure, simpleprocedure, function and the error statement existed in older MIGs. Use routine or simpleroutine.";
    OnlyDeallocVaries = 22, Warning, "only dealloc can be followed by []",
        "dealloc[] makes the deallocate bit an argument of the stub; no other flag has such a form. The flag is ignored.";
    NoSubsystem = 30, Error, "routines before any subsystem statement",
        "Message ids are subsystem base + routine number, so subsystem NAME BASE; has to come first.";
    UnknownType = 31, Error, "a type is not defined",
        "The type has no type declaration before its use, perhaps because an #include is missing. The routine that uses it is left out and keeps its number; the other routines are not affected.";
    TypeRedefined = 32, Error, "a type is defined twice",
        "Where the first one stands is said below it; char, short, int, int64, intptr_t and uintptr_t are built in. GNU MIG uses the second declaration from here on, and fails at the end.";
    TooComplicated = 33, Error, "a type is too complicated for MIG",
        "Arrays, structs and pointers can be made only of fixed-size inline types; ^ applies to an array[] or an inline type.";
    NeedsFullType = 34, Error, "the message type has no size of its own",
        "MACH_MSG_TYPE_UNSTRUCTURED, _REAL, _STRING, _STRING_C and plain numbers need the form (TYPE, bits).";
    SizesDiffer = 35, Error, "the two message types of A|B have different sizes",
        "What is sent and what is received must have the same number of bits.";
    BadSize = 36, Error, "a size cannot be computed",
        "A division by zero, or a result outside 32 bits.";
    TypeTooLarge = 37, Error, "a type does not fit a type descriptor",
        "msgt_size holds 16 bits of size in bits, msgt_name 8 bits.";
    NotRequestPort = 38, Error, "the request port is not a proper port",
        "The first argument (or the one marked requestport) must be one inline send or send-once right.";
    NotReplyPort = 39, Error, "the reply port is not a proper port",
        "A replyport, ureplyport or sreplyport argument must be one inline send-once or send right.";
    NotInteger = 40, Error, "this argument must be a 32-bit integer",
        "waittime, msgoption and msgseqno arguments are natural_t.";
    NoRequestPort = 41, Error, "the routine has no request port",
        "A message needs a port to go to: the first argument without a direction is the request port.";
    OneWayWithOut = 42, Error, "a simpleroutine has an out argument",
        "A simpleroutine has no reply message, so nothing can come back. Make it a routine.";
    VariableInOut = 43, Error, "an inline array of variable size cannot be inout",
        "Its place in request and reply would depend on two counts. Use an in and an out argument.";
    TranslatedVariable = 44, Error, "an array of variable size cannot be translated",
        "intran, outtran and destructor apply to fixed-size types.";
    UnnamedElement = 45, Error, "an inline array of variable size needs a named element type",
        "Give the element its own type declaration; stubs need its name.";
    BadStructMember = 46, Error, "a struct member must be a fixed-size inline type",
        "Pointers and arrays of variable size cannot be struct members.";
    ConflictingClause = 47, Warning, "two clauses of a type contradict each other",
        "intran, outtran, destructor and ctype each name the C types; here they name different ones. The last is used.";
    RedundantFlag = 48, Warning, "a flag has no effect",
        "The flag says what is already so, or two flags cancel each other.";
    SubsystemAgain = 49, Warning, "a second subsystem statement",
        "The earlier one is forgotten, as in MIG.";
    TypesBeforeSubsystem = 50, Warning, "types are declared before the subsystem statement",
        "GNU MIG cannot read such a file (it crashes); here it is accepted.";
    DuplicateRoutine = 51, Error, "two routines have the same name",
        "Stubs with the same name, with the userprefix before it, cannot be linked. The second one is left out.";
    StrangeSize = 52, Warning, "the size is not the usual one of this message type",
        "The kernel and the other side may disagree about the width.";
    MeaninglessFlag = 53, Warning, "a flag means nothing on this argument",
        "countinout is for out arrays of variable size, servercopy for in arrays that may be out of line.";
    DuplicateSpecial = 54, Warning, "the routine has two arguments of this kind",
        "Only the last requestport, replyport, waittime, msgoption or msgseqno argument is used.";
    RoutineLeftOut = 55, Warning, "a routine is left out because of the errors above",
        "It keeps its number, so the message ids of the routines after it are right.";
    DuplicateMember = 56, Error, "two struct members have the same name",
        "Each member of a struct needs its own name.";
    StrangeSetting = 57, Warning, "a waittime or msgoption is neither a number nor a name",
        "MIG copies the word into its C as it stands. A Rust stub needs a decimal, octal (0...) or hexadecimal (0x...) number, or the name of a constant; the user stubs of the routines that the statement is for are left out.";
    DuplicateArgument = 58, Error, "two arguments of a routine have the same name",
        "A stub cannot have two parameters of one name; GNU MIG writes C that does not compile. Names that differ, if only in case, are two. An argument of the user's stub alone (ureplyport, waittime, msgoption) may be called as one of the server's alone (sreplyport, msgseqno).";
    BadAnnotation = 60, Error, "an annotation file is malformed",
        "See annotations/README.md for the format.";
}

impl Code {
    /// `MD0031`.
    pub fn name(self) -> String {
        format!("MD{:04}", self as u16)
    }

    /// The code called `name`, in any case, with or without the leading zeros.
    pub fn from_name(name: &str) -> Option<Self> {
        let digits = name.trim_start_matches(['m', 'M']).trim_start_matches(['d', 'D']);
        let number: u16 = digits.parse().ok()?;
        Self::ALL.iter().copied().find(|code| *code as u16 == number)
    }
}

/// One thing wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind.
    pub code: Code,
    /// Where.
    pub span: Span,
    /// What exactly: names the item.
    pub message: String,
    /// What should stand there, if that is known.
    pub expected: Option<String>,
    /// What stands there.
    pub found: Option<String>,
    /// The other place that it is about, and what is there.
    pub note: Option<(Span, &'static str)>,
}

impl Diagnostic {
    /// A diagnostic without expected, found and note.
    pub fn new(code: Code, span: Span, message: impl ToString) -> Self {
        Self { code, span, message: message.to_string(), expected: None, found: None, note: None }
    }

    /// Adds what should stand there and what does.
    pub fn expected(mut self, expected: impl ToString, found: impl ToString) -> Self {
        self.expected = Some(expected.to_string());
        self.found = Some(found.to_string());
        self
    }

    /// Adds the other place that it is about, with what is there.
    pub fn note(mut self, span: Span, what: &'static str) -> Self {
        self.note = Some((span, what));
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The text for a terminal: `path:line:col: error[MD0031]: ...`, the source line and a marker under it; then the same for
    /// the other place, if there is one.
    pub fn render(&self, sources: &SourceMap) -> String {
        let severity = match self.severity() {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let mut what = format!("{severity}[{}]: {}", self.code.name(), self.message);
        if let (Some(expected), Some(found)) = (&self.expected, &self.found) {
            what += &format!(": expected {expected}, found {found}");
        }
        let mut text = at(sources, self.span, &what);
        if let Some((span, what)) = &self.note {
            text += &at(sources, *span, &format!("note: {what}"));
        }
        text
    }
}

/// A place, what is to be said about it, and its source line with a marker under it.
fn at(sources: &SourceMap, span: Span, what: &str) -> String {
    let place = sources.place(span);
    let mut text = format!("{}:{}:{}: {what}\n", place.path.display(), place.line, place.column);
    let line = sources.line_text(span);
    if !line.is_empty() {
        let number = place.line.to_string();
        let column = place.column as usize - 1;
        let skipped = if line.chars().count() > MAX_EXCERPT { column.saturating_sub(MAX_EXCERPT / 2) } else { 0 };
        let excerpt: String = line.chars().skip(skipped).take(MAX_EXCERPT).collect();
        let before: String = excerpt
            .chars()
            .take(column - skipped)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let width = sources.text(span).lines().next().map_or(1, |text| text.chars().count());
        let width = width.clamp(1, MAX_EXCERPT - (column - skipped).min(MAX_EXCERPT - 1));
        let margin = " ".repeat(number.len());
        text += &format!("{number} | {excerpt}\n{margin} | {before}{}\n", "^".repeat(width));
    }
    text
}

/// The diagnostics of a compilation, in the order they were found.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Those that are not in the list any more, and how many of them are errors.
    omitted: usize,
    omitted_errors: usize,
}

/// Most diagnostics that are kept: a file that is no .defs file would give one for every character.
const MAX_KEPT: usize = 500;
/// Most characters of a source line that are shown.
const MAX_EXCERPT: usize = 160;

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_KEPT {
            self.list.push(diagnostic);
            return;
        }
        self.omitted += 1;
        self.omitted_errors += usize::from(diagnostic.severity() == Severity::Error);
    }

    /// Adds one without expected and found.
    pub fn report(&mut self, code: Code, span: Span, message: impl ToString) {
        self.push(Diagnostic::new(code, span, message));
    }

    /// The first of them, all unless there are hundreds.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|diagnostic| diagnostic.severity() == Severity::Error).count() + self.omitted_errors
    }

    /// All of them as text for a terminal.
    pub fn render(&self, sources: &SourceMap) -> String {
        let mut text: String = self.list.iter().map(|diagnostic| diagnostic.render(sources)).collect();
        if self.omitted > 0 {
            text += &format!("and {} more\n", self.omitted);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_findable_by_name() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(&code.name()), Some(*code));
            assert!(!code.explanation().is_empty(), "{}", code.name());
        }
        assert_eq!(Code::from_name("md31"), Some(Code::UnknownType));
        assert_eq!(Code::from_name("MD9999"), None);
    }

    #[test]
    fn rendering_points_at_the_word() {
        let mut sources = SourceMap::default();
        let file = sources.add("x.defs".into(), String::from("skip;\ntype\tfoo = bar;\n"));
        let diagnostic = Diagnostic::new(Code::UnknownType, Span { file, start: 17, end: 20 }, "type `bar`");
        assert_eq!(
            diagnostic.render(&sources),
            "x.defs:2:12: error[MD0031]: type `bar`\n2 | type\tfoo = bar;\n  |     \t      ^^^\n"
        );
    }
}
