//! The controller: its legacy ports and its PCI function 00:01.1.

use std::io;
use std::sync::Arc;

use crate::bus::{Action, InterruptLine, IoError, IoResult, PortDevice, Width};
use crate::disk::queue::{DiskQueue, Method};
use crate::memory::GuestMemory;
use crate::pci::{BaseAddress, ConfigSpace, Identity, PciFunction};
use crate::storage::scsi::optical;
use crate::storage::{FaultHandler, NewDrive};

use super::channel::{Channel, DATA_PORT, Place};
use super::drives::IdeDrives;
use super::packet::PacketDrive;
use super::unit::Drive;
use crate::storage::ata::disk::Disk;
use crate::storage::ata::packet::PacketDevice;

/// The command blocks' first ports.
const COMMAND_BLOCKS: [u16; 2] = [0x1f0, 0x170];
/// The device control and alternate status registers.
const CONTROLS: [u16; 2] = [0x3f6, 0x376];
/// The base address register of the bus masters' 16 ports.
const BUS_MASTER_WINDOW: u8 = 4;

/// The IDE controller of the PIIX3.
///
/// The ports [`IdeController::PORTS`] and the PCI function are to be given to the buses; interrupts 14 and 15 end the lines.
/// Both channels always answer, whatever the decode bits of the timing registers say. Dropping it ends what its drives have under
/// way and lets go of their images, whoever still holds a handle on the drives.
pub struct IdeController {
    config: ConfigSpace,
    drives: IdeDrives,
}

/// Which register an access to a legacy port reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Register {
    Data,
    Command(u16),
    Control,
}

impl IdeController {
    /// The ports it answers at.
    pub const PORTS: [std::ops::RangeInclusive<u16>; 4] =
        [0x1f0..=0x1f7, 0x3f6..=0x3f6, 0x170..=0x177, 0x376..=0x376];

    /// A controller with `drives` (by channel, then unit) that interrupts over `lines` (by channel), reaches `memory` by DMA
    /// and asks `faults` about requests that fail.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn new(
        lines: [InterruptLine; 2],
        memory: &GuestMemory,
        faults: &Arc<dyn FaultHandler>,
        drives: [[Option<NewDrive>; 2]; 2],
    ) -> io::Result<Self> {
        let [primary, secondary] = lines;
        let [first, second] = drives;
        let channel = |number, line, [master, slave]: [Option<NewDrive>; 2]| {
            let places = [
                connect(number, 0, master, faults)?,
                connect(number, 1, slave, faults)?,
            ];
            let channel = Channel::new(number, line, memory.clone(), places);
            io::Result::Ok(Arc::new(channel))
        };
        let channels = [channel(0, primary, first)?, channel(1, secondary, second)?];
        Ok(Self {
            config: config_space(),
            drives: IdeDrives { channels },
        })
    }

    /// The handle on its drives.
    pub fn drives(&self) -> IdeDrives {
        self.drives.clone()
    }

    fn register(port: u16) -> Option<(usize, Register)> {
        for (channel, (block, control)) in COMMAND_BLOCKS.into_iter().zip(CONTROLS).enumerate() {
            match port.checked_sub(block) {
                Some(DATA_PORT) => return Some((channel, Register::Data)),
                Some(register @ 1..=7) => return Some((channel, Register::Command(register))),
                _ if port == control => return Some((channel, Register::Control)),
                _ => {}
            }
        }
        None
    }

    /// A wider access to byte-wide registers goes to one after the other, as an ISA bus splits it.
    fn bytes(port: u16, width: Width) -> impl Iterator<Item = (u16, u32)> {
        (0..width.bytes()).filter_map(move |at| {
            let at = u16::try_from(at).ok()?;
            Some((port.checked_add(at)?, 8 * u32::from(at)))
        })
    }
}

/// Puts a drive in its place.
fn connect(
    channel: usize,
    unit: usize,
    drive: Option<NewDrive>,
    faults: &Arc<dyn FaultHandler>,
) -> io::Result<Place> {
    let (drive, name, method) = match drive {
        None => return Ok(Place::default()),
        Some(NewDrive::Disk { image, name }) => {
            let method = Method::for_image(image.as_ref());
            let serial = format!("GUESTHOUSE-HD-{channel}{unit}");
            (Drive::Disk(Disk::new(image, serial)), name, method)
        }
        Some(NewDrive::Optical { medium, name }) => {
            let serial = format!("GUESTHOUSE-CD-{channel}{unit}");
            let identity = optical::Identity {
                serial: serial.clone(),
                interface: optical::Interface::Atapi,
            };
            let optical = optical::Optical::new(identity, medium);
            let drive = PacketDrive::new(PacketDevice::new(optical, serial));
            (Drive::Optical(drive), name, Method::Threads)
        }
    };
    Ok(Place {
        drive,
        queue: Some(DiskQueue::new(name, Arc::clone(faults), method)?),
    })
}

/// PIIX3 IDE, data sheet section 2.3: no interrupt pin; timing registers IDETIM (0x40-0x43) and SIDETIM (0x44) are kept.
fn config_space() -> ConfigSpace {
    ConfigSpace::builder(Identity {
        vendor: 0x8086,
        device: 0x7010,
        revision: 0,
        class: 0x01_01_80,
    })
    .subsystem(0x1af4, 0x1100)
    .command(0, 0x0005)
    .port_window(BUS_MASTER_WINDOW, 16)
    .registers_of_its_own(0x40, [0; 5], [0xff; 5])
    .build()
}

impl PortDevice for IdeController {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        let (channel, register) = Self::register(port).ok_or(IoError::Unmapped)?;
        let channel = &self.drives.channels[channel & 1];
        if register == Register::Data {
            let mut data = [0; 4];
            if let Some(item) = data.get_mut(..width.bytes()) {
                channel.with(|state| state.read_data(width.bytes(), item));
            }
            return Ok(width.load(&data));
        }
        let mut value = width.ones();
        for (port, shift) in Self::bytes(port, width) {
            let byte = match Self::register(port) {
                Some((_, Register::Command(register))) => {
                    channel.with(|state| state.read_register(register))
                }
                Some((_, Register::Control)) => channel.with(|state| state.status()),
                _ => 0xff,
            };
            value = (value & !(0xff << shift)) | (u32::from(byte) << shift);
        }
        Ok(value)
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        let (channel, register) = Self::register(port).ok_or(IoError::Unmapped)?;
        let channel = &self.drives.channels[channel & 1];
        let data = value.to_le_bytes();
        if register == Register::Data {
            if let Some(item) = data.get(..width.bytes()) {
                channel.with(|state| state.write_data(width.bytes(), item));
            }
            return Ok(None);
        }
        for ((port, _), byte) in Self::bytes(port, width).zip(data) {
            match Self::register(port) {
                Some((_, Register::Command(register))) => {
                    channel.with(|state| state.write_register(register, byte));
                }
                Some((_, Register::Control)) => channel.with(|state| state.write_control(byte)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn read_port_string(&mut self, port: u16, width: Width, data: &mut [u8]) {
        if let Some((channel, Register::Data)) = Self::register(port) {
            self.drives.channels[channel & 1].with(|state| state.read_data(width.bytes(), data));
            return;
        }
        for item in data.chunks_mut(width.bytes()) {
            let value = self.read_port(port, width).unwrap_or(width.ones());
            width.store(value, item);
        }
    }

    fn write_port_string(&mut self, port: u16, width: Width, data: &[u8]) -> Option<Action> {
        if let Some((channel, Register::Data)) = Self::register(port) {
            self.drives.channels[channel & 1].with(|state| state.write_data(width.bytes(), data));
            return None;
        }
        for item in data.chunks(width.bytes()) {
            // None of these registers asks anything of the machine.
            let _ = self.write_port(port, width, width.load(item));
        }
        None
    }
}

impl PciFunction for IdeController {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.config.write(offset, width, value);
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.config.base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        if number != BUS_MASTER_WINDOW {
            return Err(IoError::Unmapped);
        }
        for (at, byte) in (offset.min(16)..).zip(data) {
            *byte = match self
                .drives
                .channels
                .get(usize::try_from(at / 8).unwrap_or(2))
            {
                Some(channel) => channel.with(|state| state.adapter.bus_master.read(at % 8)),
                None => 0xff,
            };
        }
        Ok(())
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        if number != BUS_MASTER_WINDOW {
            return Err(IoError::Unmapped);
        }
        for (at, byte) in (offset.min(16)..).zip(data) {
            if let Some(channel) = self
                .drives
                .channels
                .get(usize::try_from(at / 8).unwrap_or(2))
            {
                channel.with(|state| state.write_bus_master(at % 8, *byte));
            }
        }
        Ok(None)
    }

    /// The drives too: as after power-on. Media stay in, trays where they are.
    fn reset(&mut self) {
        self.config.reset();
        for channel in &self.drives.channels {
            channel.with(|state| state.power_on());
        }
    }
}

impl Drop for IdeController {
    fn drop(&mut self) {
        for channel in &self.drives.channels {
            channel.close();
        }
    }
}
