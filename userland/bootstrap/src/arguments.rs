// SPDX-License-Identifier: GPL-2.0-or-later
//! Replacing `${host-port}` and `${device-port}` in a program's arguments, as GNU Mach's boot scripts do.

use alloc::string::ToString;
use alloc::vec::Vec;

use protocol::{DEVICE_PORT_ARGUMENT, HOST_PORT_ARGUMENT};

/// A right that an argument may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The host control port.
    Host,
    /// The device master port.
    Device,
}

/// Stands for `${`, so that a program can pass a variable on to one that it spawns.
const ESCAPED: &[u8] = b"$${";

/// Replaces each variable by the decimal name that `insert` answers for it; `insert` is called once per right, however
/// often the right is named, and not at all for one that is not. `$${` becomes `${`.
pub fn substitute<E>(
    arguments: &[&[u8]],
    mut insert: impl FnMut(Privilege) -> Result<u32, E>,
) -> Result<Vec<Vec<u8>>, E> {
    let mut variables = [
        (HOST_PORT_ARGUMENT.as_bytes(), Privilege::Host, None),
        (DEVICE_PORT_ARGUMENT.as_bytes(), Privilege::Device, None),
    ];
    let mut replaced = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let mut out = Vec::with_capacity(argument.len());
        let mut rest = *argument;
        while let [first, after @ ..] = rest {
            if let Some(after) = rest.strip_prefix(ESCAPED) {
                out.extend_from_slice(b"${");
                rest = after;
            } else if let Some((text, privilege, name)) = variables.iter_mut().find(|(text, ..)| rest.starts_with(text))
            {
                let name = match *name {
                    Some(name) => name,
                    None => *name.insert(insert(*privilege)?),
                };
                out.extend_from_slice(name.to_string().as_bytes());
                rest = rest.get(text.len()..).unwrap_or_default();
            } else {
                out.push(*first);
                rest = after;
            }
        }
        replaced.push(out);
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn each_right_is_inserted_once_and_only_if_named() {
        let mut inserted = vec![];
        let replaced = substitute(&[b"boot", b"--host=${host-port},${host-port}", b"${host-port}"], |privilege| {
            inserted.push(privilege);
            Ok::<_, ()>(7)
        });
        assert_eq!(replaced.unwrap(), [&b"boot"[..], b"--host=7,7", b"7"]);
        assert_eq!(inserted, [Privilege::Host]);
    }

    #[test]
    fn other_text_stays() {
        let arguments: &[&[u8]] = &[b"${host-port", b"$(task-create)", b"\\1", b"${kernel-task}"];
        let replaced = substitute(arguments, |_| Err("nothing to insert"));
        assert_eq!(replaced.unwrap(), arguments);
    }

    #[test]
    fn an_escaped_variable_is_passed_on_as_one() {
        let replaced = substitute(&[b"rpctrace2", b"$${host-port}", b"$$${host-port}", b"$$"], |_| Ok::<_, ()>(7));
        assert_eq!(replaced.unwrap(), [&b"rpctrace2"[..], b"${host-port}", b"$${host-port}", b"$$"]);
    }

    #[test]
    fn a_failure_is_passed_on() {
        assert_eq!(substitute(&[b"${device-port}"], |_| Err("no right")), Err("no right"));
    }
}
