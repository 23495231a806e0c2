//! The controller: its PCI function 00:1f.2 and the registers that all ports share.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bus::{Action, InterruptLine, IoError, IoResult, MessageSink, Width};
use crate::disk::queue::{DiskQueue, Method};
use crate::memory::GuestMemory;
use crate::pci::{BaseAddress, ConfigSpace, Identity, Msi, PciFunction, Pin};
use crate::storage::ata::disk::Disk;
use crate::storage::ata::packet::PacketDevice;
use crate::storage::scsi::optical;
use crate::storage::{FaultHandler, NewDrive};

use super::drives::AhciDrives;
use super::port::{Drive, Port, PortState};
use super::registers::{FIRST_PORT, PORT_SIZE, host};

/// How many ports there are.
pub const PORTS: usize = 6;
/// The base address register of the memory-mapped registers.
const REGISTERS_WINDOW: u8 = 5;
const REGISTERS_SIZE: u32 = 0x1000;

/// What all ports share, and the way to the interrupt controllers.
pub(super) struct Host {
    line: InterruptLine,
    message: Arc<Msi>,
    state: Mutex<HostState>,
}

#[derive(Default)]
struct HostState {
    control: u32,
    /// The ports that have asked for an interrupt, a bit each.
    interrupt_status: u32,
    /// The ports that ask for one now.
    asking: u32,
    /// Software has disabled the line by the command register.
    disabled: bool,
    resetting: bool,
    level: bool,
}

impl Host {
    /// Port `number` asks for an interrupt, or does not any more.
    pub(super) fn port_interrupts(&self, number: usize, asks: bool) {
        let mut state = self.state.lock();
        let bit = 1 << (number & 31);
        let mut news = false;
        if asks {
            state.asking |= bit;
            news = state.interrupt_status & bit == 0;
            state.interrupt_status |= bit;
        } else {
            state.asking &= !bit;
        }
        self.drive_line(&mut state);
        if news {
            self.tell(&state);
        }
    }

    /// Sends the message, where software has asked for that rather than for the line, as long as there is something to say: what
    /// became known is told, and told again when software has acknowledged a part of it only.
    fn tell(&self, state: &HostState) {
        if Self::wants(state) {
            self.message.signal();
        }
    }

    fn wants(state: &HostState) -> bool {
        state.control & host::INTERRUPT_ENABLE != 0 && state.interrupt_status != 0
    }

    fn drive_line(&self, state: &mut HostState) {
        let level = Self::wants(state) && !state.disabled && !self.message.is_enabled();
        if level != state.level {
            state.level = level;
            self.line.set_level(level);
        }
    }
}

/// Where the MSI capability is in the configuration space, as the ICH9 has it.
const MESSAGE: u8 = 0x80;

/// The AHCI controller. The PCI function is to be given to the bus. Dropping it ends what its drives have under way and lets go of
/// their images once the handles on the drives are gone too.
pub struct AhciController {
    config: ConfigSpace,
    host: Arc<Host>,
    drives: AhciDrives,
}

impl AhciController {
    /// A controller with `drives`, one a port, that interrupts over `line` (pin A) or by way of `messages`, reaches `memory` by DMA
    /// and asks `faults` about requests that fail.
    ///
    /// # Errors
    /// When the host gives no thread or no message.
    pub fn new(
        line: InterruptLine,
        messages: &dyn MessageSink,
        memory: &GuestMemory,
        faults: &Arc<dyn FaultHandler>,
        drives: [Option<NewDrive>; PORTS],
    ) -> io::Result<Self> {
        let message = Msi::new(MESSAGE, messages)?;
        let host = Arc::new(Host {
            line,
            message: Arc::clone(&message),
            state: Mutex::default(),
        });
        let mut ports = Vec::new();
        for (number, drive) in drives.into_iter().enumerate() {
            let (drive, queue) = connect(number, drive, faults)?;
            ports.push(Arc::new(Port {
                number,
                memory: memory.clone(),
                state: Mutex::new(PortState::new(drive)),
                queue,
                host: Arc::downgrade(&host),
                observer: Mutex::default(),
            }));
        }
        Ok(Self {
            config: config_space(&message),
            host,
            drives: AhciDrives {
                ports: Arc::new(ports),
            },
        })
    }

    /// The handle on its drives.
    pub fn drives(&self) -> AhciDrives {
        self.drives.clone()
    }

    fn port(&self, offset: u64) -> Option<(&Arc<Port>, u64)> {
        let offset = offset.checked_sub(FIRST_PORT)?;
        let number = usize::try_from(offset / PORT_SIZE).ok()?;
        Some((self.drives.ports.get(number)?, offset % PORT_SIZE))
    }

    fn read_register(&self, offset: u64) -> u32 {
        if let Some((port, register)) = self.port(offset) {
            return port.read(register);
        }
        let mut state = self.host.state.lock();
        match offset {
            host::CAPABILITIES => host::CAPABILITIES_VALUE | u32::try_from(PORTS - 1).unwrap_or(0),
            host::CONTROL => {
                if state.resetting && !self.drives.ports.iter().any(|port| port.resetting()) {
                    state.resetting = false;
                }
                let reset = if state.resetting { host::RESET } else { 0 };
                state.control | host::AHCI_ENABLE | reset
            }
            host::INTERRUPT_STATUS => state.interrupt_status,
            host::PORTS_IMPLEMENTED => (1 << PORTS) - 1,
            host::VERSION => host::VERSION_VALUE,
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) {
        if let Some((port, register)) = self.port(offset) {
            port.write(register, value);
            return;
        }
        match offset {
            host::CONTROL if value & host::RESET != 0 => self.reset_host(false),
            host::CONTROL => {
                let mut state = self.host.state.lock();
                state.control = value & host::INTERRUPT_ENABLE;
                self.host.drive_line(&mut state);
                self.host.tell(&state);
            }
            host::INTERRUPT_STATUS => {
                let mut state = self.host.state.lock();
                state.interrupt_status &= !value;
                // A port that still asks is heard at once again.
                state.interrupt_status |= state.asking;
                self.host.drive_line(&mut state);
                self.host.tell(&state);
            }
            _ => {}
        }
    }

    fn reset_host(&mut self, power_on: bool) {
        for port in self.drives.ports.iter() {
            port.reset(power_on);
        }
        let mut state = self.host.state.lock();
        state.control = 0;
        state.interrupt_status = 0;
        state.asking = 0;
        state.resetting = true;
        self.host.drive_line(&mut state);
    }
}

/// Puts a drive on port `number`.
fn connect(
    number: usize,
    drive: Option<NewDrive>,
    faults: &Arc<dyn FaultHandler>,
) -> io::Result<(Drive, Option<DiskQueue>)> {
    Ok(match drive {
        None => (Drive::Absent, None),
        Some(NewDrive::Disk { image, name }) => {
            let method = Method::for_image(image.as_ref());
            let queue = DiskQueue::new(name, Arc::clone(faults), method)?;
            let serial = format!("GUESTHOUSE-HD-S{number}");
            (Drive::Disk(Disk::serial_ata(image, serial)), Some(queue))
        }
        Some(NewDrive::Optical { medium, name }) => {
            let queue = DiskQueue::new(name, Arc::clone(faults), Method::Threads)?;
            let serial = format!("GUESTHOUSE-CD-S{number}");
            let identity = optical::Identity {
                serial: serial.clone(),
                interface: optical::Interface::Atapi,
            };
            let optical = optical::Optical::new(identity, medium);
            let drive = PacketDevice::new(optical, serial);
            (Drive::Optical(drive), Some(queue))
        }
    })
}

/// ICH9 AHCI, data sheet section 15.1: the address map register (0x90) says AHCI, the port control register (0x92) is kept.
fn config_space(message: &Msi) -> ConfigSpace {
    let space = ConfigSpace::builder(Identity {
        vendor: 0x8086,
        device: 0x2922,
        revision: 2,
        class: 0x01_06_01,
    })
    .subsystem(0x1af4, 0x1100)
    .interrupt_pin(Pin::A)
    .register_window(REGISTERS_WINDOW, REGISTERS_SIZE)
    .registers_of_its_own(0x90, [0x40, 0, 0x3f, 0], [0, 0, 0x3f, 0x80]);
    message.add(space).build()
}

impl PciFunction for AhciController {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        let wants = Host::wants(&self.host.state.lock());
        self.config.interrupt_level(wants);
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.config.write(offset, width, value);
        let by_line = !self.host.message.is_enabled();
        self.host.message.update(&self.config);
        let mut state = self.host.state.lock();
        // Whether the line would be driven if there was something to say.
        state.disabled = !self.config.interrupt_level(true);
        let wants = Host::wants(&state);
        self.config.interrupt_level(wants);
        self.host.drive_line(&mut state);
        if by_line {
            self.host.tell(&state);
        }
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.config.base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        if number != REGISTERS_WINDOW || offset >= u64::from(REGISTERS_SIZE) {
            return Err(IoError::Unmapped);
        }
        // Narrower reads see their part of a register.
        let mut register = None;
        for (at, byte) in (offset..).zip(data) {
            let first = at & !3;
            let value = match register {
                Some((known, value)) if known == first => value,
                _ => self.read_register(first),
            };
            register = Some((first, value));
            let [a, b, c, d] = value.to_le_bytes();
            *byte = match at & 3 {
                0 => a,
                1 => b,
                2 => c,
                _ => d,
            };
        }
        Ok(())
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        if number != REGISTERS_WINDOW || offset >= u64::from(REGISTERS_SIZE) {
            return Err(IoError::Unmapped);
        }
        if offset & 3 != 0 || !data.len().is_multiple_of(4) {
            return Err(IoError::Width);
        }
        for (at, dword) in (offset..).step_by(4).zip(data.chunks_exact(4)) {
            self.write_register(at, Width::Dword.load(dword));
        }
        Ok(None)
    }

    /// The drives too: as after power-on. Media stay in, trays where they are.
    fn reset(&mut self) {
        self.config.reset();
        self.host.message.update(&self.config);
        self.reset_host(true);
    }
}
