// SPDX-License-Identifier: GPL-2.0-or-later
//! A program's first stack: argc, argv, envp and the strings, as the System V ABI and GNU Mach's own loader have them.

use alloc::vec::Vec;

/// How a stack pointer is aligned at a program's entry.
const ALIGNMENT: u64 = 16;

/// The top of a stack, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Where `bytes` go, and the stack pointer to start with.
    pub pointer: u64,
    /// Everything from the stack pointer to the top.
    pub bytes: Vec<u8>,
}

/// Lays out `arguments` and `environment` below `top`.
pub fn build(top: u64, arguments: &[Vec<u8>], environment: &[Vec<u8>]) -> Stack {
    let lists = [arguments, environment];
    let words = 1 + lists.iter().map(|list| list.len() + 1).sum::<usize>();
    let strings: usize = lists.into_iter().flatten().map(|string| string.len() + 1).sum();
    let size = ((words * size_of::<u64>() + strings) as u64).next_multiple_of(ALIGNMENT);
    let pointer = top - size;

    let mut bytes = Vec::with_capacity(size as usize);
    bytes.extend((arguments.len() as u64).to_le_bytes());
    let mut string = pointer + (words * size_of::<u64>()) as u64;
    for list in lists {
        for text in list {
            bytes.extend(string.to_le_bytes());
            string += text.len() as u64 + 1;
        }
        bytes.extend(0u64.to_le_bytes());
    }
    for text in lists.into_iter().flatten() {
        bytes.extend(text);
        bytes.push(0);
    }
    bytes.resize(size as usize, 0);
    Stack { pointer, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: u64 = 0x8000;

    fn word(stack: &Stack, address: u64) -> u64 {
        let at = (address - stack.pointer) as usize;
        u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
    }

    fn string(stack: &Stack, address: u64) -> &[u8] {
        stack.bytes[(address - stack.pointer) as usize..].split(|&byte| byte == 0).next().unwrap()
    }

    #[test]
    fn the_layout_is_the_abi_s() {
        let stack = build(TOP, &[b"hello".to_vec(), b"".to_vec(), b"-v".to_vec()], &[b"TERM=x".to_vec()]);
        assert_eq!(stack.pointer % 16, 0);
        assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
        assert_eq!(word(&stack, stack.pointer), 3);
        for (index, expected) in [&b"hello"[..], b"", b"-v"].into_iter().enumerate() {
            assert_eq!(string(&stack, word(&stack, stack.pointer + 8 + 8 * index as u64)), expected);
        }
        assert_eq!(word(&stack, stack.pointer + 32), 0);
        assert_eq!(string(&stack, word(&stack, stack.pointer + 40)), b"TERM=x");
        assert_eq!(word(&stack, stack.pointer + 48), 0);
    }

    #[test]
    fn nothing_to_pass_still_has_its_ends() {
        let stack = build(TOP, &[], &[]);
        assert_eq!(stack.bytes, [0; 32]);
        assert_eq!(stack.pointer, TOP - 32);
    }
}
