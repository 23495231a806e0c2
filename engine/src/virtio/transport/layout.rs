//! Where things are: the capabilities in configuration space, and what they point to in window 4.

use crate::bus::Width;
use crate::pci::{ConfigSpace, ConfigSpaceBuilder};

/// The MSI-X table's base address register.
pub(super) const MSIX_WINDOW: u8 = 1;
/// The base address register of everything else.
pub(super) const WINDOW: u8 = 4;
/// The most queues that a device has: a message for each, and one for its configuration.
pub(super) const MOST_QUEUES: usize = 127;
/// Bytes of a doorbell.
pub(super) const DOORBELL: u64 = 4;

const PAGE: u32 = 0x1000;
const DOORBELLS: u32 = 3 * PAGE;

/// The capabilities' places in configuration space.
pub(super) const MSIX: u8 = 0x40;
const COMMON_CAPABILITY: u8 = 0x50;
const DOORBELLS_CAPABILITY: u8 = 0x60;
const ISR_CAPABILITY: u8 = 0x74;
const DEVICE_CAPABILITY: u8 = 0x84;
const ACCESS_CAPABILITY: u8 = 0x94;

const VENDOR_SPECIFIC: u8 = 0x09;

/// What a capability is of (cfg_type). Section 4.1.4.
mod structure {
    pub const COMMON: u8 = 1;
    pub const DOORBELLS: u8 = 2;
    pub const ISR: u8 = 3;
    pub const DEVICE: u8 = 4;
    pub const ACCESS: u8 = 5;
}

/// The parts of window 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    Common,
    Isr,
    Device,
    Doorbells,
}

/// The part of window 4 that byte `offset` is in, and where in it.
pub(super) fn region(offset: u64) -> Option<(Region, u64)> {
    let page = u64::from(PAGE);
    let region = match offset / page {
        0 => Region::Common,
        1 => Region::Isr,
        2 => Region::Device,
        3 => Region::Doorbells,
        _ => return None,
    };
    Some((region, offset % page))
}

/// The addresses of the queues' doorbells when window 4 is at `base`.
pub(super) fn doorbells(base: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |number: u64| {
        base.saturating_add(u64::from(DOORBELLS))
            .saturating_add(number * DOORBELL)
    })
}

/// The body of a capability of a structure of `length` bytes at `offset` of window 4, `N` bytes long.
fn body<const N: usize>(kind: u8, offset: u32, length: u32) -> [u8; N] {
    let mut body = [0; N];
    let whole = u8::try_from(N + 2).unwrap_or(0);
    for (to, from) in body.iter_mut().zip([whole, kind, WINDOW]) {
        *to = from;
    }
    let numbers = offset.to_le_bytes().into_iter().chain(length.to_le_bytes());
    for (to, from) in body.iter_mut().skip(6).zip(numbers) {
        *to = from;
    }
    body
}

/// Adds window 4 and the capabilities of what is in it.
pub(super) fn add_capabilities(space: ConfigSpaceBuilder) -> ConfigSpaceBuilder {
    let structure = |kind, page| body::<14>(kind, page * PAGE, PAGE);
    let mut doorbells = body::<18>(structure::DOORBELLS, DOORBELLS, PAGE);
    let [multiplier, ..] = DOORBELL.to_le_bytes();
    doorbells[14] = multiplier;
    let mut access = body::<18>(structure::ACCESS, 0, 0);
    access[2] = 0;
    let mut access_writable = [0xff; 18];
    for fixed in [0, 1, 3, 4, 5] {
        access_writable[fixed] = 0;
    }
    space
        .register_window(WINDOW, 4 * PAGE)
        .capability(
            COMMON_CAPABILITY,
            VENDOR_SPECIFIC,
            structure(structure::COMMON, 0),
            [0; 14],
        )
        .capability(DOORBELLS_CAPABILITY, VENDOR_SPECIFIC, doorbells, [0; 18])
        .capability(
            ISR_CAPABILITY,
            VENDOR_SPECIFIC,
            structure(structure::ISR, 1),
            [0; 14],
        )
        .capability(
            DEVICE_CAPABILITY,
            VENDOR_SPECIFIC,
            structure(structure::DEVICE, 2),
            [0; 14],
        )
        .capability(ACCESS_CAPABILITY, VENDOR_SPECIFIC, access, access_writable)
}

/// The registers of the capability by which window 4 is reached through configuration space.
mod access {
    use super::ACCESS_CAPABILITY;
    pub const WINDOW: u8 = ACCESS_CAPABILITY + 4;
    pub const OFFSET: u8 = ACCESS_CAPABILITY + 8;
    pub const LENGTH: u8 = ACCESS_CAPABILITY + 12;
    pub const DATA: u8 = ACCESS_CAPABILITY + 16;
}

/// An access to a window through configuration space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConfigAccess {
    pub window: u8,
    pub offset: u64,
    /// 1, 2 or 4.
    pub length: usize,
}

impl ConfigAccess {
    /// Whether byte `offset` of configuration space is in the data register, whose accesses are accesses to the window.
    pub fn is_data(offset: u8) -> bool {
        (access::DATA..access::DATA + 4).contains(&offset)
    }

    /// The access that the driver has set up, if it is one that the specification allows.
    pub fn of(space: &ConfigSpace) -> Option<Self> {
        let length = usize::try_from(space.dword(access::LENGTH)).ok()?;
        let offset = u64::from(space.dword(access::OFFSET));
        let width = Width::from_bytes(length)?;
        offset.is_multiple_of(width.bytes() as u64).then(|| Self {
            window: space.byte(access::WINDOW),
            offset,
            length,
        })
    }

    /// What is in the data register.
    pub fn data(space: &ConfigSpace) -> [u8; 4] {
        space.dword(access::DATA).to_le_bytes()
    }

    /// Sets the data register.
    pub fn set_data(space: &mut ConfigSpace, data: [u8; 4]) {
        for (at, byte) in (access::DATA..).zip(data) {
            space.set_byte(at, byte);
        }
    }
}
