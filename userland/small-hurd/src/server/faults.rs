// SPDX-License-Identifier: GPL-2.0-or-later
//! Faults that a test has asked for: slow answers, refusals, a server that ends in the middle of a request.

use alloc::string::String;
use alloc::vec::Vec;

use mach::error::Result;
use mach::msg::Received;
use mach::port::ReceiveRight;
use mach::rt::exit::terminate;
use small_hurd::errno::Errno;
use small_hurd::options::{Fault, Options};

/// Routines that faults can be of, by their names in the .defs, and their ids.
const ROUTINES: [(&str, u32); 34] = [
    ("file_exec", 20000),
    ("file_set_size", 20006),
    ("dir_lookup", 20018),
    ("dir_readdir", 20019),
    ("file_exec_paths", 20034),
    ("io_write", 21000),
    ("io_read", 21001),
    ("io_seek", 21002),
    ("io_stat", 21013),
    ("io_reauthenticate", 21014),
    ("io_duplicate", 21016),
    ("io_map", 21018),
    ("fsys_getroot", 22002),
    ("proc_getprivports", 24004),
    ("proc_getallpids", 24005),
    ("proc_child", 24012),
    ("proc_setmsgport", 24013),
    ("proc_getpids", 24016),
    ("proc_getmsgport", 24019),
    ("proc_wait", 24020),
    ("proc_mark_exit", 24025),
    ("proc_pid2task", 24029),
    ("proc_task2pid", 24030),
    ("proc_task2proc", 24031),
    ("proc_getprocinfo", 24034),
    ("proc_getprocargs", 24035),
    ("proc_getpgrppids", 24049),
    ("proc_waitid", 24062),
    ("auth_getids", 25000),
    ("auth_makeauth", 25001),
    ("auth_user_authenticate", 25002),
    ("termctty_open_terminal", 28009),
    ("exec_exec_paths", 30004),
    ("exec_startup_get_info", 30500),
];

/// The faults by ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<(u32, Fault)>);

impl Faults {
    /// Those that the command names.
    ///
    /// # Errors
    /// A sentence about a routine that is none of those.
    pub(crate) fn of(options: &Options) -> core::result::Result<Self, String> {
        let id = |name: &str| ROUTINES.iter().find(|known| known.0 == name).map(|known| known.1);
        let faults = options.faults.iter().map(|(name, fault)| {
            let id = id(name).ok_or_else(|| alloc::format!("{name}: expected a routine that faults can be of"))?;
            Ok((id, *fault))
        });
        faults.collect::<core::result::Result<_, _>>().map(Self)
    }

    /// Does what is to happen to a request of this id before it is served; answers the error that it is refused with.
    pub(crate) fn before(&self, id: u32) -> Option<Errno> {
        let mut refusal = None;
        for (_, fault) in self.0.iter().filter(|known| known.0 == id) {
            match fault {
                Fault::Slow(milliseconds) => {
                    let _ = sleep(*milliseconds);
                }
                Fault::Dies => terminate(),
                Fault::Refuse(error) => refusal = Some(*error),
            }
        }
        refusal
    }
}

/// Waits so many milliseconds.
fn sleep(milliseconds: u32) -> Result<()> {
    let port = ReceiveRight::allocate()?;
    drop(Received::receive(&port, 0, Some(milliseconds)));
    Ok(())
}
