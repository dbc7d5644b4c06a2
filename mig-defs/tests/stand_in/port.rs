// SPDX-License-Identifier: GPL-2.0-or-later
//! `port` of the runtime: rights that log their release.

use mach_abi::type_name as tn;

/// As in the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortName(pub u32);

impl PortName {
    /// As in the runtime.
    pub const NULL: Self = Self(0);

    /// As in the runtime.
    pub fn is_valid(self) -> bool {
        self.0 != 0 && self.0 != u32::MAX
    }
}

/// As in the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    MoveReceive = tn::MOVE_RECEIVE as isize,
    MoveSend = tn::MOVE_SEND as isize,
    MoveSendOnce = tn::MOVE_SEND_ONCE as isize,
    CopySend = tn::COPY_SEND as isize,
    MakeSend = tn::MAKE_SEND as isize,
    MakeSendOnce = tn::MAKE_SEND_ONCE as isize,
}

macro_rules! rights {
    ($($name:ident)*) => {
        $(
            /// As in the runtime.
            #[derive(Debug, PartialEq, Eq)]
            pub struct $name(PortName);

            impl $name {
                /// As in the runtime.
                pub fn from_name(name: PortName) -> Self {
                    Self(name)
                }

                /// As in the runtime.
                pub fn name(&self) -> PortName {
                    self.0
                }

                /// As in the runtime.
                pub fn into_name(self) -> PortName {
                    let name = self.0;
                    core::mem::forget(self);
                    name
                }
            }

            impl Drop for $name {
                fn drop(&mut self) {
                    if self.0.is_valid() {
                        super::RELEASED.with_borrow_mut(|released| released.push(self.0.0));
                    }
                }
            }
        )*
    };
}

rights!(SendRight SendOnceRight ReceiveRight);
