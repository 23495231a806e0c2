//! A tap device of the kernel: an Ethernet port whose other end is a file. Linux, Documentation/networking/tuntap.rst.
//!
//! The device belongs to the user or is handed over by somebody who may make one; nothing is made or configured here.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::ioctl::{IntegerSetter, Opcode, Setter, Updater, ioctl};

/// Set the device of a file; ask which it is; what may be left undone in frames; the size of the header before each.
const TUNSETIFF: Opcode = 0x4004_54ca;
const TUNGETIFF: Opcode = 0x8004_54d2;
const TUNSETOFFLOAD: Opcode = 0x4004_54d0;
const TUNSETVNETHDRSZ: Opcode = 0x4004_54d8;

const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
/// Checksums, and TCP over IPv4 and IPv6 that is to be cut.
const OFFLOADS: usize = 0x01 | 0x02 | 0x04;
/// The longest name of a device, with the zero that ends it.
const NAME: usize = 16;

/// `struct ifreq`, as far as these calls use it.
#[repr(C)]
struct Request {
    name: [u8; NAME],
    flags: i16,
    rest: [u8; 22],
}

/// A tap device that is open, whose frames have a virtio network header of `header` bytes before them.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Opens the tap device called `name`.
    ///
    /// # Errors
    /// When the kernel has no tap devices, the user may not use this one, or another program has it.
    pub fn open(name: &str, header: usize) -> io::Result<Self> {
        let mut request = Request {
            name: [0; NAME],
            flags: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
            rest: [0; 22],
        };
        let place = request.name.get_mut(..name.len());
        let Some(place) = place.filter(|place| place.len() < NAME) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        place.copy_from_slice(name.as_bytes());
        let file = File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")?;
        set_device(&file, &mut request)?;
        Self::prepare(file, header)
    }

    /// Takes a tap device that another program has opened.
    ///
    /// # Errors
    /// When it is none, or its frames have no header.
    pub fn from_descriptor(descriptor: OwnedFd, header: usize) -> io::Result<Self> {
        let file = File::from(descriptor);
        let mut request = Request {
            name: [0; NAME],
            flags: 0,
            rest: [0; 22],
        };
        device(&file, &mut request)?;
        if request.flags & (IFF_TAP | IFF_VNET_HDR) != IFF_TAP | IFF_VNET_HDR {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is no tap device with virtio headers",
            ));
        }
        Self::prepare(file, header)
    }

    fn prepare(file: File, header: usize) -> io::Result<Self> {
        let size = i32::try_from(header).map_err(|_| io::ErrorKind::InvalidInput)?;
        set_header(&file, size)?;
        set_offloads(&file)?;
        rustix::io::ioctl_fionbio(&file, true)?;
        Ok(Self { file })
    }

    /// The file that frames are read from and written to, which never waits.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[expect(unsafe_code, reason = "ioctl")]
fn set_device(file: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, whose size and layout `Request` has.
    unsafe { ioctl(file, Updater::<TUNSETIFF, Request>::new(request)) }?;
    Ok(())
}

#[expect(unsafe_code, reason = "ioctl")]
fn device(file: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: TUNGETIFF writes a `struct ifreq`, whose size and layout `Request` has.
    unsafe { ioctl(file, Updater::<TUNGETIFF, Request>::new(request)) }?;
    Ok(())
}

#[expect(unsafe_code, reason = "ioctl")]
fn set_header(file: &File, size: i32) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads an `int`.
    unsafe { ioctl(file, Setter::<TUNSETVNETHDRSZ, i32>::new(size)) }?;
    Ok(())
}

#[expect(unsafe_code, reason = "ioctl")]
fn set_offloads(file: &File) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes a number and no pointer.
    unsafe { ioctl(file, IntegerSetter::<TUNSETOFFLOAD>::new_usize(OFFLOADS)) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tap_device_is_refused() {
        assert_eq!(size_of::<Request>(), 40);
        let file = File::open("/dev/null").unwrap();
        assert!(Tap::from_descriptor(file.into(), 12).is_err());
        for name in ["", "a-name-that-is-too-long-for-a-device"] {
            assert!(name.is_empty() || Tap::open(name, 12).is_err());
        }
    }
}
