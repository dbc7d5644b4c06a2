// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings of tracers: memory of the kernel's, in pages of its own, that a task maps through the kernel's device pager.
//!
//! The payload writes by the kernel's direct map, so that nothing a task does with its mapping changes the way to it. What a task maps is a proxy
//! of a memory object that the device pager has made for a device of ours, which is no more than the function that tells which page is where. The
//! object is kept for ever, by a reference: one that ends leaves ports behind, and a mapping made of its right shows zeros.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use trace_port::record::Prefix;
use trace_port::ring::{HEADER_SIZE, Ring, TRACERS_CAPACITY, TRACERS_SIZE, WISHES_WORD};

use super::handles::{Device, DeviceOps, Object};
use super::mach::Mach;
use super::members::{
    DEVICE_NUMBER, DEVICE_OPS, DEVICE_REFERENCES, KMSG_HEADER, OBJECT_REFERENCES, OPS_MMAP, PORT_SEND_RIGHTS, Struct,
};
use super::objects::ring_message;
use super::once::Once;
use super::pages::Pages;
use super::slots::fact;
use super::{Blank, MaybeRight, OwnedKmsg, Port, Ports, Reference, SendRight, Shared, Space, mr};
use crate::payload_abi::{KERNEL_BASE, Slot};
use crate::rings::PLACES;

/// `VM_PROT_READ`.
const READ: i32 = 1;
/// With `VM_PROT_WRITE`.
const READ_WRITE: i32 = 3;
/// Bytes of a page.
const PAGE_SIZE: usize = 4096;
/// Where the reader's page is in the object.
const READERS_PAGE: usize = WISHES_WORD * size_of::<u64>();

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols.
unsafe extern "C" {
    fn device_pager_setup(
        device: Device,
        protection: i32,
        offset: usize,
        size: usize,
        pager: &mut MaybeUninit<MaybeRight>,
    ) -> i32;
    fn vm_object_enter(pager: Port, size: usize, internal: i32) -> Option<Object>;
    fn memory_object_create_proxy(
        space: Space,
        max_protection: i32,
        object: &Port,
        objects: u32,
        offset: &u64,
        offsets: u32,
        start: &u64,
        starts: u32,
        len: &u64,
        lens: u32,
        port: &mut MaybeUninit<MaybeRight>,
    ) -> i32;
    safe static ipc_space_kernel: Space;
    safe fn ipc_object_reference(port: Port);
    fn ipc_object_release(port: Port);
}

/// A struct of the kernel's, of which it looks at few members, zeroed; the rest is not used.
#[repr(align(16))]
struct Zeroed([AtomicU64; 32]);

impl Zeroed {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 32])
    }

    /// Where it is, if it is as large as the kernel's.
    fn address(&self, size: Slot) -> Option<usize> {
        (fact(size) <= size_of::<Self>()).then_some((&raw const self.0).expose_provenance())
    }
}

/// A ring of the pool. All 0 until it is made.
struct Pool {
    device: Zeroed,
    /// Its memory, by the direct map.
    ring: Once<Ring<'static, AtomicU64>>,
    /// The pager's port, which the object keeps.
    pager: AtomicUsize,
    object: AtomicUsize,
}

static POOL: [Pool; PLACES] = [const {
    Pool { device: Zeroed::new(), ring: Once::new(), pager: AtomicUsize::new(0), object: AtomicUsize::new(0) }
}; PLACES];

/// The operations of all those devices.
static OPS: Zeroed = Zeroed::new();

impl Pool {
    fn object(&self) -> Option<Object> {
        // SAFETY: the object's address, if it is not 0: it is kept by a reference for ever.
        (self.object.load(Ordering::Acquire) != 0).then(|| unsafe { Object::at(self.object.load(Ordering::Acquire)) })
    }

    fn pager(&self) -> Option<Port> {
        // SAFETY: its port, if it is not 0, which the object keeps.
        (self.pager.load(Ordering::Acquire) != 0).then(|| unsafe { Port::at(self.pager.load(Ordering::Acquire)) })
    }
}

/// The device's `d_mmap`: the page frame of an offset, -1 for none. The kernel asks once for each page.
extern "C" fn page_of(number: u32, offset: usize, _protection: i32) -> usize {
    let Some(pool) = POOL.get(number as u16 as usize) else { return usize::MAX };
    let Some(ring) = pool.ring.get() else { return usize::MAX };
    let address = match offset {
        0..READERS_PAGE => ring.control.as_ptr().addr() + offset,
        READERS_PAGE..HEADER_SIZE => ring.wishes.as_ptr().addr() + (offset - READERS_PAGE),
        HEADER_SIZE..TRACERS_SIZE => ring.frames.as_ptr().addr() + (offset - HEADER_SIZE),
        _ => return usize::MAX,
    };
    address.wrapping_sub(KERNEL_BASE as usize) / PAGE_SIZE
}

/// The ring in so much memory, header and frames.
fn ring(header: usize, frames: usize) -> Option<Ring<'static, AtomicU64>> {
    let words = |address: usize, bytes: usize| {
        // SAFETY: so many bytes of memory of the pool's, which stays, and is used as such words alone: by the kernel here, and by a task that has it
        // mapped.
        unsafe { core::slice::from_raw_parts(address as *const AtomicU64, bytes / size_of::<AtomicU64>()) }
    };
    let (kernels, readers) = words(header, HEADER_SIZE).split_at_checked(WISHES_WORD)?;
    Ring::in_parts(kernels, readers, words(frames, TRACERS_CAPACITY))
}

/// The device of a ring, whose memory is there.
fn device(index: usize, pool: &'static Pool) -> Option<Device> {
    let ops = OPS.address(Slot::dev_ops_size)?;
    // SAFETY: zeroed memory that is as large as the struct, and stays.
    let ops = unsafe { DeviceOps::at(ops) };
    ops.store(OPS_MMAP, (page_of as extern "C" fn(u32, usize, i32) -> usize as *const ()).expose_provenance());
    // SAFETY: the same.
    let device = unsafe { Device::at(pool.device.address(Slot::mach_device_size)?) };
    device.store(DEVICE_REFERENCES, 1);
    device.store(DEVICE_NUMBER, u16::try_from(index).ok()?);
    device.store(DEVICE_OPS, ops.address());
    Some(device)
}

/// Makes the object that stands for a ring's memory. `None` if the kernel has no memory for it.
#[inline(never)]
fn enter(index: usize, pool: &'static Pool) -> Option<()> {
    let device = device(index, pool)?;
    let mut pager = MaybeUninit::uninit();
    // SAFETY: a device that stays, of whose members the pager asks for these alone.
    if unsafe { device_pager_setup(device, READ_WRITE, 0, TRACERS_SIZE, &mut pager) } != 0 {
        return None;
    }
    // SAFETY: it has succeeded.
    let right = unsafe { pager.assume_init() }.right()?;
    // SAFETY: a right to a pager, which the object copies.
    let object = unsafe { vm_object_enter(right.port(), TRACERS_SIZE, 0) };
    if let Some(object) = object {
        pool.pager.store(right.port().address(), Ordering::Release);
        pool.object.store(object.address(), Ordering::Release);
    }
    // The object has its own.
    Mach.ipc_port_release_send(right);
    object.map(|_| ())
}

impl Shared for Mach {
    fn port_reference(&self, port: Port) -> Reference<Port> {
        ipc_object_reference(port);
        // SAFETY: the reference that was just taken.
        unsafe { Reference::own(port) }
    }

    fn port_release(&self, port: Reference<Port>) {
        // SAFETY: the reference is given back, and the port not used through it any more.
        unsafe { ipc_object_release(port.get()) };
    }

    fn ring_message(&self, blank: Blank, right: SendRight) -> OwnedKmsg {
        let begin = blank.kmsg().place(KMSG_HEADER) as *mut Prefix;
        // SAFETY: the memory has room for a record, and so for this.
        unsafe { begin.write(ring_message(right)) };
        // SAFETY: that is its header, and it has no more rights.
        unsafe { blank.begun() }
    }

    #[inline(always)]
    fn tracers_ring(&self, place: usize) -> Option<&'static Ring<'static, AtomicU64>> {
        POOL.get(place)?.ring.get()
    }

    fn make_ring(&self, place: usize) -> bool {
        // What strikes there strikes what makes messages.
        let Some(pool) = POOL.get(place).filter(|_| !cfg!(feature = "faults")) else { return false };
        if pool.ring.get().is_none() {
            let Some(header) = Pages::grab(HEADER_SIZE) else { return false };
            let frames = Pages::grab(TRACERS_CAPACITY).and_then(|frames| ring(header.address(), frames.address()));
            let Some(ring) = frames else {
                // SAFETY: nobody else has it.
                unsafe { header.free() };
                return false;
            };
            pool.ring.set(ring);
        }
        pool.object().is_some() || enter(place, pool).is_some()
    }

    fn ring_is_unused(&self, place: usize) -> bool {
        let Some(pool) = POOL.get(place) else { return false };
        let references = pool.object().map_or(1, |object| object.load(OBJECT_REFERENCES));
        let rights = pool.pager().map_or(1, |pager| pager.load(PORT_SEND_RIGHTS));
        references == 1 && rights == 1
    }

    fn ring_object(&self, place: usize, is_readers_page: bool) -> Result<SendRight, u32> {
        let pager = POOL.get(place).and_then(Pool::pager).ok_or(mr::KERN_RESOURCE_SHORTAGE)?;
        let right = self.ipc_port_copy_send(pager).ok_or(mr::KERN_RESOURCE_SHORTAGE)?;
        let (protection, start, len) = match is_readers_page {
            true => (READ_WRITE, READERS_PAGE as u64, PAGE_SIZE as u64),
            false => (READ, 0, TRACERS_SIZE as u64),
        };
        let mut port = MaybeUninit::uninit();
        // SAFETY: one of each, as the counts say; the right is the proxy's where it succeeds.
        let answer = unsafe {
            memory_object_create_proxy(
                ipc_space_kernel,
                protection,
                &right.port(),
                1,
                &0,
                1,
                &start,
                1,
                &len,
                1,
                &mut port,
            )
        };
        if answer != 0 {
            self.ipc_port_release_send(right);
            return Err(answer.cast_unsigned());
        }
        // It is the proxy's now.
        let _ = right.into_port();
        // SAFETY: it has succeeded.
        unsafe { port.assume_init() }.right().ok_or(mr::KERN_RESOURCE_SHORTAGE)
    }
}
