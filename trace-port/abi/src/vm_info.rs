// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel says of an object in its memory: mach_debug/vm_info.h.

/// In `voi_state` of `mach_vm_object_info`: the kernel itself has made the object, so that no pager of somebody else's provides what is in it.
pub const VOI_STATE_INTERNAL: u32 = 0x10;
