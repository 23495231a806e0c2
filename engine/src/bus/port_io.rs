//! The 65,536 I/O ports: who answers at which, and the way there.

use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Action, IoResult, Shared, Width};

/// A device with registers at I/O ports. The port is always the absolute one, as the processor named it.
pub trait PortDevice: Send {
    /// Reads `width` at `port`; bits above the width are ignored.
    ///
    /// # Errors
    /// When the device does not answer there, or not at this width: the guest reads all ones.
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32>;

    /// Writes `value` (bits above the width are zero) to `port`.
    ///
    /// # Errors
    /// When the device does not answer there, or not at this width: the write is lost.
    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>>;

    /// Reads the same port once for every `width` bytes of `data` (the processor's string input). Devices with a data port
    /// that moves blocks answer it in one go.
    fn read_port_string(&mut self, port: u16, width: Width, data: &mut [u8]) {
        for item in data.chunks_mut(width.bytes()) {
            let value = self.read_port(port, width).unwrap_or(width.ones());
            width.store(value, item);
        }
    }

    /// Writes every `width` bytes of `data` to the same port in turn (the processor's string output).
    fn write_port_string(&mut self, port: u16, width: Width, data: &[u8]) -> Option<Action> {
        let mut action = None;
        for item in data.chunks(width.bytes()) {
            action = self
                .write_port(port, width, width.load(item))
                .ok()
                .flatten()
                .or(action);
        }
        action
    }
}

type Target = Shared<dyn PortDevice>;

struct Entry {
    device: Target,
    /// At how many ports it answers; it is forgotten with the last one.
    ports: u32,
}

struct Table {
    /// For every port, the number of its device, counted from 1 in `devices`, or 0.
    owner: Box<[u16]>,
    devices: Vec<Option<Entry>>,
}

/// The map from ports to devices.
pub struct PortBus {
    table: RwLock<Table>,
}

impl Default for PortBus {
    fn default() -> Self {
        Self {
            table: RwLock::new(Table {
                owner: vec![0; 0x1_0000].into_boxed_slice(),
                devices: Vec::new(),
            }),
        }
    }
}

impl PortBus {
    /// Lets `device` answer at all of `ports`. Where another answered before, the newer one does.
    pub fn map(&self, ports: RangeInclusive<u16>, device: Target) {
        self.table.write().map(ports, device);
    }

    /// Lets `device` answer at all of `ports` if nobody answers at any of them; returns whether it does now.
    pub fn map_where_free(&self, ports: RangeInclusive<u16>, device: Target) -> bool {
        let mut table = self.table.write();
        let free = ports
            .clone()
            .all(|port| table.owner[usize::from(port)] == 0);
        if free {
            table.map(ports, device);
        }
        free
    }

    /// Stops `device` from answering at those of `ports` that are its own.
    pub fn unmap(&self, ports: RangeInclusive<u16>, device: &Target) {
        let mut table = self.table.write();
        let Some(number) = table.number_of(device) else {
            return;
        };
        for port in ports {
            if table.owner[usize::from(port)] == number {
                table.set_owner(port, 0);
            }
        }
    }

    fn target(&self, port: u16) -> Option<Target> {
        let table = self.table.read();
        let number = table.owner[usize::from(port)];
        let entry = table.devices.get(usize::from(number.checked_sub(1)?))?;
        entry.as_ref().map(|entry| Arc::clone(&entry.device))
    }

    /// The processor reads one item of `width` at `port`.
    pub fn read(&self, port: u16, width: Width) -> u32 {
        let answer = self
            .target(port)
            .map(|device| device.lock().read_port(port, width));
        match answer {
            Some(Ok(value)) => value & width.ones(),
            Some(Err(_)) | None => {
                tracing::trace!(port, ?width, "read of a port that nobody answers");
                width.ones()
            }
        }
    }

    /// The processor writes one item of `width` to `port`.
    pub fn write(&self, port: u16, width: Width, value: u32) -> Option<Action> {
        match self
            .target(port)
            .map(|device| device.lock().write_port(port, width, value & width.ones()))
        {
            Some(Ok(action)) => action,
            Some(Err(_)) | None => {
                tracing::trace!(port, ?width, value, "write to a port that nobody answers");
                None
            }
        }
    }

    /// The processor reads `data.len() / width` items at `port` into `data`.
    pub fn read_string(&self, port: u16, width: Width, data: &mut [u8]) {
        match self.target(port) {
            Some(device) => device.lock().read_port_string(port, width, data),
            None => data.fill(0xff),
        }
    }

    /// The processor writes `data.len() / width` items from `data` to `port`.
    pub fn write_string(&self, port: u16, width: Width, data: &[u8]) -> Option<Action> {
        self.target(port)
            .and_then(|device| device.lock().write_port_string(port, width, data))
    }
}

impl Table {
    fn map(&mut self, ports: RangeInclusive<u16>, device: Target) {
        if ports.is_empty() {
            return;
        }
        let number = self
            .number_of(&device)
            .or_else(|| self.add(device))
            .unwrap_or(0);
        for port in ports {
            self.set_owner(port, number);
        }
    }

    fn number_of(&self, device: &Target) -> Option<u16> {
        let index = self.devices.iter().position(|entry| {
            entry
                .as_ref()
                .is_some_and(|entry| Arc::ptr_eq(&entry.device, device))
        })?;
        u16::try_from(index + 1).ok()
    }

    /// Gives `device` a number; there is one for all but one of the 65,536 devices that could answer at a port each.
    fn add(&mut self, device: Target) -> Option<u16> {
        let free = self.devices.iter().position(Option::is_none);
        let index = free.unwrap_or(self.devices.len());
        let number = u16::try_from(index + 1).ok()?;
        let entry = Some(Entry { device, ports: 0 });
        match self.devices.get_mut(index) {
            Some(place) => *place = entry,
            None => self.devices.push(entry),
        }
        Some(number)
    }

    fn entry(&mut self, number: u16) -> Option<&mut Option<Entry>> {
        self.devices.get_mut(usize::from(number.checked_sub(1)?))
    }

    fn set_owner(&mut self, port: u16, number: u16) {
        // The new owner first: the old one may be the same device, which must not be forgotten in between.
        if let Some(Some(entry)) = self.entry(number) {
            entry.ports += 1;
        }
        let before = std::mem::replace(&mut self.owner[usize::from(port)], number);
        if let Some(place) = self.entry(before)
            && let Some(entry) = place
        {
            entry.ports -= 1;
            if entry.ports == 0 {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{IoError, shared};

    struct Register(u32);
    impl PortDevice for Register {
        fn read_port(&mut self, _port: u16, width: Width) -> IoResult<u32> {
            if width == Width::Dword {
                Err(IoError::Width)
            } else {
                Ok(self.0)
            }
        }
        fn write_port(
            &mut self,
            _port: u16,
            _width: Width,
            value: u32,
        ) -> IoResult<Option<Action>> {
            self.0 = value;
            Ok((value == 6).then_some(Action::Reset))
        }
    }

    #[test]
    fn nobody_answers_with_ones() {
        let bus = PortBus::default();
        assert_eq!(bus.read(0x80, Width::Byte), 0xff);
        assert_eq!(bus.read(0xffff, Width::Dword), 0xffff_ffff);
        assert_eq!(bus.write(0x80, Width::Byte, 1), None);
        let mut data = [0; 6];
        bus.read_string(0x1f0, Width::Word, &mut data);
        assert_eq!(data, [0xff; 6]);
    }

    #[test]
    fn the_newest_owner_answers_and_gives_back_only_its_own() {
        let bus = PortBus::default();
        let (first, second) = (shared(Register(1)), shared(Register(2)));
        bus.map(0x100..=0x10f, first.clone());
        bus.map(0x108..=0x117, second.clone());
        assert_eq!(
            (bus.read(0x107, Width::Byte), bus.read(0x108, Width::Byte)),
            (1, 2)
        );
        let first: Target = first;
        bus.unmap(0x100..=0x117, &first);
        assert_eq!(
            (bus.read(0x107, Width::Byte), bus.read(0x108, Width::Byte)),
            (0xff, 2)
        );
        assert_eq!(
            bus.read(0x108, Width::Dword),
            0xffff_ffff,
            "a width the device does not know"
        );
    }

    #[test]
    fn a_range_of_which_a_part_is_taken_is_not_free() {
        let bus = PortBus::default();
        bus.map(0x60..=0x60, shared(Register(1)));
        assert!(!bus.map_where_free(0x58..=0x67, shared(Register(2))));
        assert_eq!(bus.read(0x58, Width::Byte), 0xff);
        assert!(bus.map_where_free(0x61..=0x68, shared(Register(3))));
        assert_eq!(
            (bus.read(0x60, Width::Byte), bus.read(0x61, Width::Byte)),
            (1, 3)
        );
    }

    #[test]
    fn strings_go_item_by_item_and_keep_the_action() {
        let bus = PortBus::default();
        bus.map(0xcf9..=0xcf9, shared(Register(0)));
        assert_eq!(
            bus.write_string(0xcf9, Width::Byte, &[2, 6]),
            Some(Action::Reset)
        );
        let mut data = [0; 4];
        bus.read_string(0xcf9, Width::Word, &mut data);
        assert_eq!(data, [6, 0, 6, 0]);
    }

    #[test]
    fn a_device_mapped_and_unmapped_many_times_leaves_nothing_behind() {
        let bus = PortBus::default();
        let device: Target = shared(Register(3));
        for round in 0..0x1_8000_u32 {
            let port = u16::try_from(round % 0xff00).unwrap_or(0);
            if round % 0x400 == 0 {
                bus.map(port..=port, device.clone());
                bus.unmap(port..=port, &device);
            }
        }
        assert!(bus.table.read().devices.iter().all(Option::is_none));
        assert!(bus.table.read().devices.len() <= 1);
    }
}
