// SPDX-License-Identifier: GPL-2.0-or-later
//! The program's arguments and environment, as the loader left them on the stack.

use core::ffi::{CStr, c_char};
use core::slice;

use spin::Once;

/// The arguments of the running program, borrowed from its first stack, which is never unmapped.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    argv: &'static [*const c_char],
    envp: &'static [*const c_char],
}

// SAFETY: the pointers lead to strings on the first stack that nobody writes to after the loader.
unsafe impl Send for Arguments {}
// SAFETY: as for `Send`; shared reading only.
unsafe impl Sync for Arguments {}

static ARGUMENTS: Once<Arguments> = Once::new();

impl Arguments {
    /// How many there are, the program's name included.
    pub const fn len(&self) -> usize {
        self.argv.len()
    }

    /// Whether there are none, not even a name.
    pub const fn is_empty(&self) -> bool {
        self.argv.is_empty()
    }

    /// The argument at `index`; 0 is the program's name.
    pub fn get(&self, index: usize) -> Option<&'static [u8]> {
        self.argv.get(index).map(|&pointer| string(pointer))
    }

    /// The argument at `index` if it is UTF-8.
    pub fn get_str(&self, index: usize) -> Option<&'static str> {
        self.get(index).and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// All arguments, the program's name first.
    pub fn iter(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        self.argv.iter().map(|&pointer| string(pointer))
    }

    /// The environment, `NAME=VALUE` each.
    pub fn environment(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        self.envp.iter().map(|&pointer| string(pointer))
    }
}

/// The program's arguments, from anywhere in it; `None` before they are known.
pub fn arguments() -> Option<&'static Arguments> {
    ARGUMENTS.get()
}

/// The name the program was started under.
pub fn program_name() -> &'static str {
    arguments().and_then(|arguments| arguments.get_str(0)).unwrap_or("program")
}

/// Reads argc, argv and envp.
///
/// # Safety
/// `stack` points to argc, argc pointers to NUL-terminated strings, NULL, more such pointers, NULL; all of it stays as it
/// is for the rest of the program.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "only `entry` calls it"))]
pub(super) unsafe fn from_stack(stack: *const usize) -> Arguments {
    // SAFETY: the first word is argc by this function's contract.
    let count = unsafe { *stack };
    // SAFETY: argv follows argc.
    let argv = unsafe { stack.add(1) }.cast::<*const c_char>();
    // SAFETY: envp follows argv and its NULL.
    let envp = unsafe { argv.add(count + 1) };
    // SAFETY: `argv` points to `count` pointers by contract.
    let argv = unsafe { slice::from_raw_parts(argv, count) };
    let mut end = envp;
    // SAFETY: envp ends with a NULL, at which the loop stops; `end` has not passed it.
    while !unsafe { end.read() }.is_null() {
        // SAFETY: what was read was not the last word of envp.
        end = unsafe { end.add(1) };
    }
    // SAFETY: both point into envp, `end` to its NULL, a whole number of words apart.
    let environment = unsafe { end.offset_from_unsigned(envp) };
    // SAFETY: the loop passed that many pointers.
    let envp = unsafe { slice::from_raw_parts(envp, environment) };
    *ARGUMENTS.call_once(|| Arguments { argv, envp })
}

/// The bytes of one argument.
fn string(pointer: *const c_char) -> &'static [u8] {
    // SAFETY: `from_stack`'s contract: every pointer it took is that of a NUL-terminated string that stays.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}
