// SPDX-License-Identifier: GPL-2.0-or-later
//! The program's arguments and environment, as the loader left them on the stack, or as somebody told them.

use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::{ptr, slice};

use spin::Once;

/// The arguments of the running program, borrowed from its first stack or other memory that is never unmapped.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    argv: &'static [*const c_char],
    envp: &'static [*const c_char],
}

// SAFETY: the pointers lead to strings that nobody writes to after the loader, or after `told` has leaked them.
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

    /// Where the vectors of pointers to the arguments and to the environment are: who looks into this task finds them there.
    pub fn places(&self) -> (u64, u64) {
        (self.argv.as_ptr() as u64, self.envp.as_ptr() as u64)
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

/// For programs whose loader leaves the arguments on the stack: nobody is asked for them.
pub const fn on_stack() -> Option<Arguments> {
    None
}

/// The arguments and environment in two blocks of bytes, each string followed by NUL. The blocks and the vectors of pointers to their strings
/// stay for ever. Call it once, before `main`.
pub fn told(argv: Vec<u8>, envp: Vec<u8>) -> Arguments {
    *ARGUMENTS.call_once(|| Arguments { argv: pointers(argv), envp: pointers(envp) })
}

/// A pointer to each string of a block; a NULL stands behind the last one, as C programs' vectors have it.
fn pointers(mut block: Vec<u8>) -> &'static [*const c_char] {
    if block.last().is_some_and(|last| *last != 0) {
        block.push(0);
    }
    let block: &'static [u8] = block.leak();
    let mut pointers: Vec<*const c_char> =
        block.split_inclusive(|byte| *byte == 0).map(|text| text.as_ptr().cast()).collect();
    pointers.push(ptr::null());
    let pointers: &'static [*const c_char] = pointers.leak();
    &pointers[..pointers.len() - 1]
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
    // SAFETY: every pointer that `from_stack` took is that of a NUL-terminated string that stays, by its contract; `pointers` makes one for
    // each piece of a leaked block that ends with NUL, and a block's last piece does.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}
