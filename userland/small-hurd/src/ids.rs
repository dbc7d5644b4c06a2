// SPDX-License-Identifier: GPL-2.0-or-later
//! Whose request it is: sets of user and group ids, and what they may do with a file.

use alloc::vec;
use alloc::vec::Vec;

/// The user who may do everything.
pub const ROOT: u32 = 0;

/// Effective ids: what permissions are judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Users.
    pub uids: Vec<u32>,
    /// Groups.
    pub gids: Vec<u32>,
}

impl Ids {
    /// Those of the root user.
    pub fn root() -> Self {
        Self { uids: vec![ROOT], gids: vec![ROOT] }
    }

    /// Nobody's: what a port has before its holder has said who he is.
    pub const fn nobody() -> Self {
        Self { uids: Vec::new(), gids: Vec::new() }
    }

    /// Whether they are the root user's.
    pub fn is_root(&self) -> bool {
        self.uids.contains(&ROOT)
    }
}

/// All that an authentication handle stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Effective users.
    pub euids: Vec<u32>,
    /// Users that may become effective; the first is the real one, the second the saved one.
    pub auids: Vec<u32>,
    /// Effective groups.
    pub egids: Vec<u32>,
    /// Groups that may become effective.
    pub agids: Vec<u32>,
}

impl Credentials {
    /// Those of one user and the group of the same number.
    pub fn of(id: u32) -> Self {
        Self { euids: vec![id], auids: vec![id, id], egids: vec![id], agids: vec![id, id] }
    }

    /// What permissions are judged by.
    pub fn effective(&self) -> Ids {
        Ids { uids: self.euids.clone(), gids: self.egids.clone() }
    }

    fn has_user(&self, id: u32) -> bool {
        self.euids.contains(&id) || self.auids.contains(&id)
    }

    fn has_group(&self, id: u32) -> bool {
        self.egids.contains(&id) || self.agids.contains(&id)
    }

    /// Whether holders of all of `held` may make a handle of `wanted`: one of them is root, or each id is one that some of them has.
    pub fn may_be_made(wanted: &Self, held: &[&Self]) -> bool {
        let users = wanted.euids.iter().chain(&wanted.auids);
        let groups = wanted.egids.iter().chain(&wanted.agids);
        held.iter().any(|held| held.has_user(ROOT))
            || users.into_iter().all(|&id| held.iter().any(|held| held.has_user(id)))
                && groups.into_iter().all(|&id| held.iter().any(|held| held.has_group(id)))
    }

    /// What they become when a file of this owner is executed whose mode says so; the second is whether that is more than they were.
    #[must_use]
    pub fn with_owner(&self, user: Option<u32>, group: Option<u32>) -> (Self, bool) {
        let mut new = self.clone();
        let mut more = false;
        if let Some(id) = user {
            more |= set_id(&mut new.euids, &mut new.auids, id);
        }
        if let Some(id) = group {
            more |= set_id(&mut new.egids, &mut new.agids, id);
        }
        (new, more && !self.has_user(ROOT))
    }
}

/// Makes `id` the first effective id and the saved one, and keeps what was the first among the available; answers whether it is new.
fn set_id(effective: &mut Vec<u32>, available: &mut Vec<u32>, id: u32) -> bool {
    let is_new = !effective.contains(&id) && !available.contains(&id);
    match effective.first_mut() {
        Some(first) => {
            if !available.contains(first) {
                available.push(*first);
            }
            *first = id;
        }
        None => effective.push(id),
    }
    if !available.is_empty() {
        let others = available.split_off(1);
        available.push(id);
        available.extend(others.into_iter().filter(|other| *other != id));
    }
    is_new
}

/// Permission bits of others, as bits of a mode.
pub const READ: u32 = 4;
/// Writing, as [`READ`].
pub const WRITE: u32 = 2;
/// Executing a file or looking something up in a directory, as [`READ`].
pub const EXECUTE: u32 = 1;

/// Whether a file of this mode and owner lets `ids` do `what`, which is one of the permissions. `is_file` says that it is no directory,
/// link or device: a file that nobody may execute, not even root may.
pub fn allowed(mode: u32, owner: (u32, u32), is_file: bool, ids: &Ids, what: u32) -> bool {
    let bits = if ids.is_root() {
        return what != EXECUTE || !is_file || mode & 0o111 != 0;
    } else if ids.uids.contains(&owner.0) {
        mode >> 6
    } else if ids.gids.contains(&owner.1) {
        mode >> 3
    } else {
        mode
    };
    bits & what != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_for_owner_group_and_others() {
        let user = |uid, gid| Ids { uids: vec![uid], gids: vec![gid] };
        for (ids, what, expected) in [
            (user(7, 1), READ, true),
            (user(7, 1), WRITE, true),
            (user(7, 1), EXECUTE, false),
            (user(1, 8), READ, true),
            (user(1, 8), WRITE, false),
            (user(1, 1), READ, false),
            (Ids::root(), WRITE, true),
            (Ids::root(), EXECUTE, false),
            (Ids::nobody(), READ, false),
        ] {
            assert_eq!(allowed(0o640, (7, 8), true, &ids, what), expected, "{ids:?} {what}");
        }
        assert!(allowed(0o600, (7, 8), false, &Ids::root(), EXECUTE), "a directory");
        assert!(allowed(0o601, (7, 8), true, &Ids::root(), EXECUTE));
    }

    #[test]
    fn a_handle_is_made_of_ids_that_its_makers_have() {
        let user = Credentials::of(5);
        let root = Credentials::of(ROOT);
        let two = Credentials { euids: vec![5, 6], ..Credentials::default() };
        assert!(Credentials::may_be_made(&user, &[&user]));
        assert!(!Credentials::may_be_made(&two, &[&user]));
        assert!(Credentials::may_be_made(&two, &[&user, &Credentials::of(6)]));
        assert!(Credentials::may_be_made(&two, &[&user, &root]));
        assert!(!Credentials::may_be_made(&root, &[&user]));
        assert!(Credentials::may_be_made(&Credentials::default(), &[&user]));
    }

    #[test]
    fn a_set_id_file_adds_its_owner_once() {
        let (new, more) = Credentials::of(5).with_owner(Some(0), None);
        assert!(more);
        assert_eq!((new.euids, new.auids), (vec![0], vec![5, 0, 5]));
        assert!(!Credentials::of(5).with_owner(Some(5), Some(5)).1, "its own id");
        assert!(!Credentials::of(0).with_owner(Some(9), None).1, "root has every id already");
    }
}
