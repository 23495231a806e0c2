//! Intel's 82540EM, the "e1000": the network card that Windows, old systems and iPXE know.
//!
//! PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453): registers in chapter 13, descriptors in
//! chapter 3. All of its registers are there that drivers use; interrupts come by INTx only, as on the chip, throttled by ITR. What
//! drivers leave to it (checksums, segmentation) is left on to whoever gets the frames.
//!
//! A thread of the card's own moves frames between the guest's descriptors and the cable, so that processors only touch registers.

mod eeprom;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod phy;
mod receive;
mod registers;
mod rings;
#[cfg(test)]
mod tests;
mod transmit;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::eeprom::Eeprom;
use self::phy::Phy;
use self::registers::{
    ADDRESSES, CTRL, CTRL_EXT, EECD, EERD, ICR, ICS, IMC, IMS, ITR, LEDCTL, MDIC, PBA, RCTL, RDBAL,
    RDH, RDLEN, RDT, STATISTICS, STATISTICS_LAST, STATUS, TCTL, TDBAL, TDH, TDLEN, TDT, WINDOW,
    cause, ctrl, status,
};
use self::transmit::Assembly;
use super::{Cable, Frame};
use crate::bus::{Action, InterruptLine, IoError, IoResult, Shared, Width, shared};
use crate::definition::MacAddress;
use crate::memory::{GuestMemory, MemoryRegion};
use crate::pci::{BaseAddress, ConfigSpace, Identity, PciFunction, Pin};

/// How often a frame is tried again for which there was no room.
const RETRY: Duration = Duration::from_millis(20);
/// The unit of the interrupt throttling register.
const THROTTLE: Duration = Duration::from_nanos(256);

/// The card.
pub struct E1000 {
    space: ConfigSpace,
    memory: GuestMemory,
    cable: Arc<Cable>,
    line: InterruptLine,
    mac: MacAddress,
    eeprom: Eeprom,
    phy: Phy,
    /// All registers by their place, a dword each, as far as they are nothing but memory.
    registers: Box<[u32]>,
    io_address: u32,
    causes: u32,
    mask: u32,
    asserted: bool,
    /// Before that no interrupt comes, by ITR.
    quiet_until: Option<Instant>,
    link: bool,
    assembly: Assembly,
    /// What is to be sent when there is room.
    unsent: VecDeque<Frame>,
    /// What is to come into the guest's buffers when there are any.
    waiting: VecDeque<Frame>,
    /// The thread waits, and is to be woken.
    idle: bool,
    paused: bool,
}

/// The card's thread. It ends when this is dropped.
pub struct Worker {
    stop: Arc<AtomicBool>,
    cable: Arc<Cable>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.cable.unwatch();
        self.stop.store(true, Ordering::Release);
        self.cable.bell().ring();
        if let Some(thread) = self.thread.take() {
            // Its panic was caught.
            let _ = thread.join();
        }
    }
}

impl E1000 {
    /// A card with the address `mac` at `cable`, and its thread. `rom` is what the firmware runs to start over the network.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(
        mac: MacAddress,
        cable: Arc<Cable>,
        line: InterruptLine,
        memory: GuestMemory,
        rom: Option<MemoryRegion>,
    ) -> io::Result<(Shared<Self>, Worker)> {
        let card = shared(Self::new(mac, Arc::clone(&cable), line, memory, rom));
        let stop = Arc::<AtomicBool>::default();
        cable.watch({
            let bell = Arc::clone(cable.bell());
            move |_| bell.ring()
        });
        let thread = thread::Builder::new().name("e1000".to_owned()).spawn({
            let (card, cable, stop) = (Arc::clone(&card), Arc::clone(&cable), Arc::clone(&stop));
            move || {
                let run = || {
                    while !stop.load(Ordering::Acquire) {
                        let patience = card.lock().work();
                        if patience != Some(Duration::ZERO) {
                            cable.bell().wait(patience);
                        }
                    }
                };
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    tracing::error!("a fault in Guesthouse stopped a network card");
                }
            }
        })?;
        let worker = Worker {
            stop,
            cable,
            thread: Some(thread),
        };
        Ok((card, worker))
    }

    fn new(
        mac: MacAddress,
        cable: Arc<Cable>,
        line: InterruptLine,
        memory: GuestMemory,
        rom: Option<MemoryRegion>,
    ) -> Self {
        let mut space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x100e,
            revision: 3,
            class: 0x02_00_00,
        })
        .subsystem(0x8086, 0x001e)
        .interrupt_pin(Pin::A)
        .register_window(0, WINDOW)
        .port_window(1, 64);
        if let Some(rom) = rom {
            space = space.expansion_rom(rom);
        }
        let mut card = Self {
            space: space.build(),
            memory,
            link: cable.is_plugged(),
            cable,
            line,
            mac,
            eeprom: Eeprom::new(mac),
            phy: Phy::new(),
            registers: vec![0; (WINDOW / 4) as usize].into_boxed_slice(),
            io_address: 0,
            causes: 0,
            mask: 0,
            asserted: false,
            quiet_until: None,
            assembly: Assembly::default(),
            unsent: VecDeque::new(),
            waiting: VecDeque::new(),
            idle: false,
            paused: false,
        };
        card.reset_registers();
        card
    }

    /// The guest's memory is left alone from now on, or used again.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.cable.bell().ring();
    }

    fn reset_registers(&mut self) {
        self.registers.fill(0);
        self.set(CTRL, ctrl::POWER_ON);
        self.set(PBA, 0x0010_0030);
        self.set(LEDCTL, 0x0706_8302);
        let [a, b, c, d, e, f] = self.mac.0;
        self.set(ADDRESSES, u32::from_le_bytes([a, b, c, d]));
        self.set(ADDRESSES + 4, u32::from_le_bytes([e, f, 0, 0x80]));
        self.phy = Phy::new();
        self.causes = 0;
        self.mask = 0;
        self.quiet_until = None;
        self.assembly.reset();
        self.unsent.clear();
        self.waiting.clear();
        self.update_line();
    }

    fn get(&self, register: u32) -> u32 {
        let index = usize::try_from(register / 4).unwrap_or(usize::MAX);
        self.registers.get(index).copied().unwrap_or(0)
    }

    fn set(&mut self, register: u32, value: u32) {
        let index = usize::try_from(register / 4).unwrap_or(usize::MAX);
        if let Some(place) = self.registers.get_mut(index) {
            *place = value;
        }
    }

    fn range(&self, first: u32, count: usize) -> &[u32] {
        let index = usize::try_from(first / 4).unwrap_or(usize::MAX);
        self.registers
            .get(index..index.saturating_add(count))
            .unwrap_or_default()
    }

    fn count(&mut self, statistic: u32, more: u64) {
        let value = u64::from(self.get(statistic)) + more;
        self.set(statistic, u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// Counts bytes in the pair of registers that begins at `statistic`.
    fn count_octets(&mut self, statistic: u32, more: usize) {
        let before = u64::from(self.get(statistic + 4)) << 32 | u64::from(self.get(statistic));
        let value = before.saturating_add(more as u64);
        self.set(statistic, u32::try_from(value & 0xffff_ffff).unwrap_or(0));
        self.set(statistic + 4, u32::try_from(value >> 32).unwrap_or(0));
    }

    fn raise(&mut self, causes: u32) {
        self.causes |= causes;
        self.update_line();
    }

    /// Drives the line as causes and mask say, but not before the throttle lets it.
    fn update_line(&mut self) {
        let mut wanted = self.causes & self.mask != 0;
        if wanted && !self.asserted {
            if let Some(until) = self.quiet_until {
                wanted = Instant::now() >= until;
            }
            if wanted {
                let interval = self.get(ITR) & 0xffff;
                self.quiet_until = (interval > 0).then(|| Instant::now() + THROTTLE * interval);
            } else if self.idle {
                // The thread is to look again when the time has come.
                self.cable.bell().ring();
            }
        }
        self.asserted = wanted;
        let level = self.space.interrupt_level(wanted);
        self.line.set_level(level);
    }

    fn read_register(&mut self, register: u32) -> u32 {
        match register {
            STATUS => status::FIXED | if self.link { status::LINK_UP } else { 0 },
            EECD => self.eeprom.wires(),
            ICR => {
                let causes = std::mem::take(&mut self.causes);
                self.update_line();
                causes
            }
            IMS => self.mask,
            ICS | IMC => 0,
            STATISTICS..=STATISTICS_LAST => {
                let value = self.get(register);
                self.set(register, 0);
                value
            }
            _ => self.get(register),
        }
    }

    fn write_register(&mut self, register: u32, value: u32) {
        match register {
            CTRL if value & ctrl::RESET != 0 => self.reset_registers(),
            CTRL => {
                if value & ctrl::PHY_RESET != 0 {
                    self.phy = Phy::new();
                }
                let came_up = value & !self.get(CTRL) & ctrl::SET_LINK_UP != 0;
                self.set(CTRL, value & !ctrl::PHY_RESET);
                if came_up && self.link {
                    self.raise(cause::LINK);
                }
            }
            STATUS => {}
            EECD => self.eeprom.set_wires(value),
            EERD => {
                let answer = self.eeprom.read_register(value);
                self.set(EERD, answer);
            }
            CTRL_EXT => self.set(CTRL_EXT, value),
            MDIC => {
                let (answer, negotiated) = self.phy.command(value, self.link);
                self.set(MDIC, answer);
                if value & phy::INTERRUPT != 0 {
                    self.raise(cause::MDIO);
                }
                if negotiated && self.link {
                    self.raise(cause::LINK);
                }
            }
            ICR => {
                self.causes &= !value;
                self.update_line();
            }
            ICS => self.raise(value & cause::ALL),
            IMS => {
                self.mask |= value & cause::ALL;
                self.update_line();
            }
            IMC => {
                self.mask &= !value;
                self.update_line();
            }
            ITR => self.set(ITR, value & 0xffff),
            RDLEN | TDLEN => self.set(register, value & 0x000f_ff80),
            RDBAL | TDBAL => self.set(register, value & !0xf),
            RDH | TDH => self.set(register, value & 0xffff),
            RDT | TDT => {
                self.set(register, value & 0xffff);
                self.wake();
            }
            RCTL | TCTL => {
                self.set(register, value);
                self.wake();
            }
            // Read-only, or cleared by reading.
            STATISTICS..=STATISTICS_LAST => {}
            _ => self.set(register, value),
        }
    }

    fn wake(&mut self) {
        if std::mem::take(&mut self.idle) {
            self.cable.bell().ring();
        }
    }

    /// Does what can be done now; returns how long to wait for the bell: not at all if there is more, forever if there is nothing.
    fn work(&mut self) -> Option<Duration> {
        self.idle = false;
        let plugged = self.cable.is_plugged();
        if plugged != self.link {
            self.link = plugged;
            self.raise(cause::LINK);
        }
        let mut more = false;
        if !self.paused && self.space.is_bus_master() {
            more = self.transmit();
            more |= self.receive();
        }
        let now = Instant::now();
        let throttled = self.causes & self.mask != 0 && !self.asserted;
        if throttled {
            self.update_line();
        }
        if more {
            return Some(Duration::ZERO);
        }
        self.idle = true;
        let retry = (!self.unsent.is_empty()).then_some(RETRY);
        let quiet = self
            .quiet_until
            .filter(|_| self.causes & self.mask != 0 && !self.asserted)
            .map(|until| {
                until
                    .saturating_duration_since(now)
                    .max(Duration::from_micros(1))
            });
        match (retry, quiet) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

impl PciFunction for E1000 {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        self.update_line();
        self.wake();
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.space.base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        let offset = u32::try_from(offset).map_err(|_| IoError::Unmapped)?;
        let register = match (number, offset) {
            (0, _) => offset & !3,
            (1, 0) => {
                Width::Dword.store(self.io_address, data);
                return Ok(());
            }
            (1, 4) => self.io_address & !3,
            _ => return Err(IoError::Unmapped),
        };
        let skip = if number == 0 {
            usize::try_from(offset & 3).unwrap_or(0)
        } else {
            0
        };
        if data.len() > 4 {
            let (low, high) = data.split_at_mut(4);
            self.read_window(number, u64::from(offset), low)?;
            return self.read_window(number, u64::from(offset) + 4, high);
        }
        let value = self.read_register(register).to_le_bytes();
        for (to, from) in data.iter_mut().zip(value.iter().skip(skip)) {
            *to = *from;
        }
        Ok(())
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let offset = u32::try_from(offset).map_err(|_| IoError::Unmapped)?;
        let (first, rest) = data.split_at(data.len().min(4));
        let value = u32::from_le_bytes(first.try_into().map_err(|_| IoError::Width)?);
        match (number, offset) {
            (0, _) if offset & 3 == 0 => self.write_register(offset, value),
            (1, 0) => self.io_address = value & (WINDOW - 1),
            (1, 4) => self.write_register(self.io_address & !3, value),
            _ => return Err(IoError::Unmapped),
        }
        if rest.is_empty() {
            Ok(None)
        } else {
            self.write_window(number, u64::from(offset) + 4, rest)
        }
    }

    fn reset(&mut self) {
        self.space.reset();
        self.io_address = 0;
        self.reset_registers();
    }
}
