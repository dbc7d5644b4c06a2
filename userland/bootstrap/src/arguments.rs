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

/// Replaces each variable by the decimal name that `insert` answers for it; `insert` is called once per right, however
/// often the right is named, and not at all for one that is not.
pub fn substitute<E>(
    arguments: &[&[u8]],
    mut insert: impl FnMut(Privilege) -> Result<u32, E>,
) -> Result<Vec<Vec<u8>>, E> {
    let mut replaced: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.to_vec()).collect();
    for (variable, privilege) in [(HOST_PORT_ARGUMENT, Privilege::Host), (DEVICE_PORT_ARGUMENT, Privilege::Device)] {
        let mut name = None;
        for argument in &mut replaced {
            while let Some(at) = argument.windows(variable.len()).position(|window| window == variable.as_bytes()) {
                let name = match name {
                    Some(name) => name,
                    None => *name.insert(insert(privilege)?),
                };
                argument.splice(at..at + variable.len(), name.to_string().into_bytes());
            }
        }
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
    fn a_failure_is_passed_on() {
        assert_eq!(substitute(&[b"${device-port}"], |_| Err("no right")), Err("no right"));
    }
}
