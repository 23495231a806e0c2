//! Every virtio device through its transport, with a driver that puts anything into its queues.

use std::cell::Cell;
use std::sync::Arc;

use super::guest::{Disk, OWN, access, memory};
use super::legacy::event;
use super::{Input, Script};
use crate::bus::{InterruptLine, Unconnected, shared};
use crate::definition::MacAddress;
use crate::display::Surface;
use crate::display::vga::{Renderer, Vga};
use crate::memory::GuestMemory;
use crate::network::{Cable, Checksum, Frame, Offload, SegmentKind, Segmentation, Switch};
use crate::pci::PciFunction;
use crate::storage::{DriveGroup, ReportFaults};
use crate::virtio::balloon::Balloon;
use crate::virtio::block::Block;
use crate::virtio::console::Console;
use crate::virtio::entropy::Entropy;
use crate::virtio::graphics::Graphics;
use crate::virtio::input::{Input as InputDevice, InputKind};
use crate::virtio::network::Network;
use crate::virtio::{ByHand, Connections, VirtioDevice, VirtioPci, feature};

const MEMORY: usize = 4 << 20;
/// Where each queue's rings are: 64 KiB a queue.
const RINGS: u64 = 0x1_0000;
const AVAILABLE: u64 = 0x8000;
const USED: u64 = 0xc000;
/// Where buffers are, and the table of an indirect chain.
const BUFFERS: u64 = 0x10_0000;
const TABLE: u64 = 0x20_0000;

/// The driver comes up; makes a chain available; rings; the host does something; resets; the machine is paused or not.
const UP: u8 = OWN;
const CHAIN: u8 = OWN + 1;
const KICK: u8 = OWN + 2;
const HOST: u8 = OWN + 3;
const RESET: u8 = OWN + 4;
const PAUSE: u8 = OWN + 5;
const POWER: u8 = OWN + 6;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

struct Driver<'a> {
    function: VirtioPci,
    memory: GuestMemory,
    hand: ByHand,
    /// Of each queue: its size, what was made available, the descriptor that is used next.
    queues: Vec<(u16, u16, u16)>,
    /// How many chains came back.
    used: u64,
    /// Waits for what the host does beside the device.
    settle: &'a dyn Fn(),
}

impl Driver<'_> {
    fn read(&mut self, offset: u64, length: usize) -> u64 {
        let mut data = [0; 8];
        let _ = self.function.read_window(4, offset, &mut data[..length]);
        u64::from_le_bytes(data)
    }

    fn write(&mut self, offset: u64, length: usize, value: u64) {
        let data = value.to_le_bytes();
        let _ = self.function.write_window(4, offset, &data[..length]);
    }

    fn work(&mut self) {
        self.hand.work();
        (self.settle)();
    }

    /// A reset is finished at some time, whatever was under way.
    fn reset(&mut self) {
        for queue in 1..=self.queues.len() as u64 {
            let mut index = [0; 2];
            let _ = self.memory.read(RINGS * queue + USED + 2, &mut index);
            self.used += u64::from(u16::from_le_bytes(index));
        }
        self.write(0x14, 1, 0);
        self.work();
        assert_eq!(self.read(0x14, 1), 0, "the reset does not end");
    }

    fn up(&mut self, mask: u64) {
        self.reset();
        let mut offered = 0;
        for half in 0..2 {
            self.write(0, 4, half);
            offered |= self.read(4, 4) << (32 * half);
        }
        let features = offered & (mask | feature::VERSION_1);
        self.write(0x14, 1, 3);
        for half in 0..2 {
            self.write(8, 4, half);
            self.write(0xc, 4, features >> (32 * half) & 0xffff_ffff);
        }
        self.write(0x14, 1, 0xb);
        self.queues.clear();
        for queue in 0..self.read(0x12, 2) {
            self.write(0x16, 2, queue);
            let size = self.read(0x18, 2) as u16;
            let base = RINGS * (queue + 1);
            for at in (base + AVAILABLE..base + RINGS).step_by(0x1000) {
                self.memory.write(at, &[0; 0x1000]).unwrap();
            }
            self.write(0x20, 8, base);
            self.write(0x28, 8, base + AVAILABLE);
            self.write(0x30, 8, base + USED);
            self.write(0x1c, 2, 1);
            self.queues.push((size, 0, 0));
        }
        self.write(0x14, 1, 0xf);
    }

    fn chain(&mut self, input: &mut Input<'_>) {
        let [number, shape] = [input.byte(), input.byte()];
        let count = u16::from(shape & 7) + 1;
        let indirect = shape & 0x80 != 0;
        let content = input.piece();
        let number = usize::from(number)
            .checked_rem(self.queues.len())
            .unwrap_or(0);
        let Some((size, available, next)) = self.queues.get_mut(number) else {
            return;
        };
        let (size, head) = ((*size).max(1), *next);
        let base = RINGS * (number as u64 + 1);
        let mut descriptors = Vec::new();
        for index in 1..=count {
            let place = input.byte();
            let address = match place {
                0..0xf0 => BUFFERS + u64::from(place) * 0x1000,
                0xf0..0xf8 => u64::from(place & 7) << 15,
                0xf8..0xfc => MEMORY as u64 - u64::from(place & 3) * 8,
                _ => input.quad(),
            };
            let (length, bits) = (u32::from(input.word()), input.byte());
            let length = if bits & 0x80 == 0 {
                length
            } else {
                length << 16
            };
            if index == 1 {
                let _ = self.memory.write(address, content);
            }
            let more = if index == count { 0 } else { NEXT };
            let flags =
                u16::from(bits >> 1 & 7) & !NEXT | if bits & 0x40 == 0 { more } else { NEXT };
            let next = if indirect {
                index
            } else {
                (head + index) % size
            };
            descriptors.push(descriptor(address, length, flags, next));
        }
        if indirect {
            self.memory.write(TABLE, &descriptors.concat()).unwrap();
            let length = descriptors.len() as u32 * 16;
            descriptors = vec![descriptor(TABLE, length, INDIRECT, 0)];
        }
        for descriptor in &descriptors {
            let at = base + 16 * u64::from(*next);
            self.memory.write(at, descriptor).unwrap();
            *next = (*next + 1) % size;
        }
        let place = base + AVAILABLE + 4 + 2 * u64::from(*available % size);
        self.memory.write(place, &head.to_le_bytes()).unwrap();
        *available = available.wrapping_add(1);
        let index = available.to_le_bytes();
        self.memory.write(base + AVAILABLE + 2, &index).unwrap();
    }
}

fn descriptor(address: u64, length: u32, flags: u16, next: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..14].copy_from_slice(&flags.to_le_bytes());
    bytes[14..].copy_from_slice(&next.to_le_bytes());
    bytes
}

/// Drives `device`, and says how many chains came back; `host` is what happens on the other side of it, `settle` waits until that is over.
fn drive(
    device: impl VirtioDevice + 'static,
    data: &[u8],
    mut host: impl FnMut(&mut Input<'_>),
    settle: &dyn Fn(),
) -> u64 {
    let hand = ByHand::new();
    let memory = memory(MEMORY);
    let function = VirtioPci::new(
        Box::new(device),
        Connections {
            line: InterruptLine::unconnected("virtio"),
            messages: Arc::new(Unconnected),
            doorbells: Arc::new(Unconnected),
            memory: memory.clone(),
        },
    )
    .unwrap();
    let mut driver = Driver {
        function,
        memory,
        hand,
        queues: Vec::new(),
        used: 0,
        settle,
    };
    let mut input = Input::new(data);
    while let Some(code) = input.code() {
        match code % 16 {
            UP => driver.up(input.quad()),
            CHAIN => driver.chain(&mut input),
            KICK => {
                let queue = u64::from(input.byte());
                driver.write(0x3000 + 4 * queue, 2, queue);
                driver.work();
            }
            HOST => {
                host(&mut input);
                driver.work();
            }
            RESET => driver.reset(),
            PAUSE if code & 0x80 == 0 => driver.function.pause(),
            PAUSE => driver.function.resume(),
            POWER => {
                driver.function.reset();
                driver.queues.clear();
            }
            code => access(code, &mut input, &mut driver.function, &driver.memory),
        }
    }
    driver.function.resume();
    driver.reset();
    driver.used
}

impl Script {
    fn up(self) -> Self {
        self.code(UP).quad(u64::MAX)
    }

    /// A chain of buffers by page, length and whether the device writes to it; `content` is in the first.
    fn chain(self, queue: u8, content: &[u8], buffers: &[(u8, u16, bool)]) -> Self {
        self.shaped(0, queue, content, buffers)
    }

    fn indirect(self, queue: u8, content: &[u8], buffers: &[(u8, u16, bool)]) -> Self {
        self.shaped(0x80, queue, content, buffers)
    }

    fn shaped(self, shape: u8, queue: u8, content: &[u8], buffers: &[(u8, u16, bool)]) -> Self {
        let count = u8::try_from(buffers.len() - 1).unwrap();
        let script = self
            .code(CHAIN)
            .byte(queue)
            .byte(shape | count)
            .piece(content);
        buffers
            .iter()
            .fold(script, |script, (place, length, write)| {
                let bits = if *write { WRITE as u8 * 2 } else { 0 };
                script.byte(*place).word(*length).byte(bits)
            })
    }

    fn kick(self, queue: u8) -> Self {
        self.code(KICK).byte(queue)
    }
}

/// What every driver does besides: looks at everything, enables messages, writes to the configuration, and is reset.
fn around(script: Script) -> Vec<Vec<u8>> {
    let mut registers = Script::default().config(4, crate::bus::Width::Word, 7);
    for offset in [
        0x00, 0x04, 0x10, 0x12, 0x14, 0x18, 0x20, 0x2000, 0x2008, 0x3000,
    ] {
        registers = registers.get(4, offset, 4);
    }
    registers = registers
        .set(1, 0, 4, 0xfee0_0000)
        .set(1, 12, 4, 0)
        .set(4, 0x10, 2, 0);
    registers = registers.set(4, 0x2000, 4, u64::MAX);
    let script = script.code(PAUSE).code(0x80 | PAUSE).code(RESET);
    let again = Script(registers.done()).bytes(&script.clone().done());
    vec![script.done(), again.code(POWER).done()]
}

pub(super) fn block(data: &[u8]) {
    drive_block(data);
}

fn drive_block(data: &[u8]) -> u64 {
    let image = Disk::new(64 << 10, false);
    let device = Block::new(image, "disk".to_owned(), "1", 2, Arc::new(ReportFaults)).unwrap();
    let handle = device.handle();
    let changed = device.handle();
    drive(device, data, |_| changed.resized(), &|| handle.drain())
}

pub(super) fn block_seeds() -> Vec<Vec<u8>> {
    let header =
        |kind: u32, sector: u64| [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
    let mut script = Script::default().up();
    script = script
        .chain(
            0,
            &header(0, 3),
            &[(0, 16, false), (1, 1024, true), (2, 1, true)],
        )
        .kick(0);
    script = script
        .chain(
            1,
            &header(1, 5),
            &[
                (3, 16, false),
                (1, 512, false),
                (4, 512, false),
                (2, 1, true),
            ],
        )
        .kick(1);
    script = script.indirect(0, &header(4, 0), &[(0, 16, false), (2, 1, true)]);
    script = script
        .chain(0, &header(8, 0), &[(0, 16, false), (2, 21, true)])
        .kick(0);
    for kind in [11, 13] {
        let range = [
            &header(kind, 0)[..],
            &8_u64.to_le_bytes(),
            &4_u32.to_le_bytes(),
            &1_u32.to_le_bytes(),
        ]
        .concat();
        script = script
            .chain(0, &range, &[(5, 32, false), (2, 1, true)])
            .kick(0);
    }
    around(script.code(HOST))
}

pub(super) fn network(data: &[u8]) {
    drive_network(data);
}

fn drive_network(data: &[u8]) -> u64 {
    let switch = Switch::new();
    let (cable, peer) = (Cable::new().unwrap(), Cable::new().unwrap());
    cable.plug(&switch);
    peer.plug(&switch);
    let device = Network::new(MacAddress([2, 0, 0, 0, 0, 1]), Arc::clone(&cable));
    let host = |input: &mut Input<'_>| match input.byte() {
        0xff => cable.pull(),
        0xfe => cable.plug(&switch),
        shape => {
            if let Some(frame) = frame(shape, input) {
                let _ = peer.send(frame);
            }
        }
    };
    drive(device, data, host, &|| {
        while let Some(frame) = peer.receive() {
            let _ = crate::network::Segments::frames(frame);
        }
    })
}

/// A frame as other cards send them, with what they leave undone.
pub(crate) fn frame(shape: u8, input: &mut Input<'_>) -> Option<Frame> {
    let more = usize::from(input.word());
    let mut data = input.piece().to_vec();
    if shape & 1 != 0 {
        data.resize(data.len() + more, 0x5a);
    }
    let checksum = match shape >> 1 & 3 {
        0 => Checksum::Complete,
        1 => Checksum::Valid,
        _ => Checksum::Partial {
            start: input.byte().into(),
            offset: input.byte().into(),
        },
    };
    let kind =
        [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp][usize::from(shape >> 4) % 3];
    let segmentation = (shape & 8 != 0).then(|| Segmentation {
        kind,
        size: input.word(),
        congestion: shape & 0x40 != 0,
    });
    Frame::new(
        data.into(),
        Offload {
            checksum,
            segmentation,
        },
    )
}

/// The first bytes of a TCP segment over IPv4 of `length` bytes in all.
pub(crate) fn tcp_headers(length: u16) -> Vec<u8> {
    let mut data = vec![0; 54];
    data[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0]);
    data[14] = 0x45;
    data[16..18].copy_from_slice(&(length - 14).to_be_bytes());
    data[23] = 6;
    data[46] = 0x50;
    data
}

pub(super) fn network_seeds() -> Vec<Vec<u8>> {
    let mut plain = vec![0; 12];
    plain.extend([0xff; 6]);
    plain.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    let mut large = vec![1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0, 0, 0];
    large.extend(tcp_headers(3054));
    let mut script = Script::default().up();
    // Buffers for what comes, frames that go, orders by the control queue.
    for page in 0x20..0x28 {
        script = script.chain(0, &[], &[(page, 1500, true)]);
    }
    script = script.kick(0);
    script = script.chain(1, &plain, &[(0, 100, false)]).kick(1);
    script = script
        .chain(1, &large, &[(1, 66, false), (2, 3000, false)])
        .kick(1);
    script = script
        .indirect(1, &plain, &[(0, 12, false), (0, 60, false)])
        .kick(1);
    let arrives = |script: Script, shape: u8, more: u16, data: &[u8]| {
        script.code(HOST).byte(shape).word(more).piece(data)
    };
    script = arrives(script, 1, 100, &plain[12..]);
    script = arrives(script, 0x0d, 3000, &tcp_headers(3054))
        .byte(34)
        .byte(16)
        .word(1000);
    for order in [
        &[0_u8, 0, 1][..],
        &[1, 1, 2, 0, 0, 0, 0, 8],
        &[1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0],
        &[5, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ] {
        script = script
            .chain(2, order, &[(5, order.len() as u16, false), (6, 1, true)])
            .kick(2);
    }
    script = arrives(script, 1, 1400, &plain[12..]);
    around(script.code(HOST).byte(0xff).code(HOST).byte(0xfe))
}

pub(super) fn input(data: &[u8]) {
    drive_input(data);
}

fn drive_input(data: &[u8]) -> u64 {
    let (kind, data) = data.split_first().unwrap_or((&0, &[]));
    let kind = [InputKind::Keyboard, InputKind::Tablet][usize::from(kind & 1)];
    let device = InputDevice::new(kind, Box::new(|_| {}), Box::new(|_| {}));
    let handle = device.handle();
    drive(device, data, |input| handle.input(event(input)), &|| {})
}

pub(super) fn input_seeds() -> Vec<Vec<u8>> {
    let mut script = Script::default()
        .set(4, 0x2000, 2, 0x0111)
        .get(4, 0x2002, 8)
        .up();
    for page in 0..16 {
        script = script.chain(0, &[], &[(page, 8, true)]);
    }
    script = script
        .kick(0)
        .chain(1, &[0x11, 0, 0, 0, 1, 0, 0, 0], &[(0x20, 8, false)])
        .kick(1);
    script = script
        .code(HOST)
        .byte(0x80)
        .byte(0x1e)
        .code(HOST)
        .byte(0)
        .byte(0x1e);
    script = script
        .code(HOST)
        .byte(0x12)
        .word(0x1234)
        .word(0xfff0)
        .code(HOST)
        .byte(3)
        .long(1);
    let seeds = around(script);
    [0, 1]
        .into_iter()
        .flat_map(|kind| seeds.iter().map(move |seed| [&[kind], &seed[..]].concat()))
        .collect()
}

pub(super) fn entropy(data: &[u8]) {
    drive_entropy(data);
}

fn drive_entropy(data: &[u8]) -> u64 {
    drive(Entropy::default(), data, |_| {}, &|| {})
}

pub(super) fn entropy_seeds() -> Vec<Vec<u8>> {
    let script = Script::default().up().chain(0, &[], &[(0, 64, true)]);
    around(
        script
            .indirect(0, &[], &[(1, 9000, true), (4, 1, true)])
            .kick(0),
    )
}

pub(super) fn balloon(data: &[u8]) {
    drive_balloon(data);
}

fn drive_balloon(data: &[u8]) -> u64 {
    let device = Balloon::new(Arc::new(|| {}));
    let handle = device.handle();
    let host = |input: &mut Input<'_>| match input.byte() & 3 {
        0 => handle.ask(),
        1 => {
            handle.statistics();
        }
        _ => handle.set_target(input.quad()),
    };
    drive(device, data, host, &|| {})
}

pub(super) fn balloon_seeds() -> Vec<Vec<u8>> {
    let pages: Vec<u8> = (0x140_u32..0x150).flat_map(u32::to_le_bytes).collect();
    let mut script = Script::default().up().code(HOST).byte(2).quad(1 << 20);
    script = script.chain(0, &pages, &[(0, 64, false)]).kick(0);
    script = script.chain(1, &pages, &[(0, 64, false)]).kick(1);
    let statistics = [0_u16, 1, 4, 5]
        .map(|tag| [&tag.to_le_bytes()[..], &77_u64.to_le_bytes()].concat())
        .concat();
    script = script
        .chain(2, &statistics, &[(1, 40, false)])
        .kick(2)
        .code(HOST)
        .byte(0)
        .code(HOST)
        .byte(1);
    // What the guest does not use.
    for queue in 2..5 {
        script = script
            .chain(queue, &[], &[(0x40, 0x4000, true), (0x50, 0x1000, true)])
            .kick(queue);
    }
    around(script.set(4, 0x2004, 4, 16))
}

pub(super) fn console(data: &[u8]) {
    drive_console(data);
}

fn drive_console(data: &[u8]) -> u64 {
    let device = Console::new(None, None).unwrap();
    let arrives = device.inlet();
    drive(device, data, |input| arrives(input.piece()), &|| {})
}

pub(super) fn console_seeds() -> Vec<Vec<u8>> {
    let mut script = Script::default().code(HOST).piece(b"early").up();
    script = script
        .chain(0, &[], &[(0, 3, true), (1, 100, true)])
        .chain(0, &[], &[(2, 64, true)])
        .kick(0);
    script = script.code(HOST).piece(b"late").chain(
        1,
        b"from the guest",
        &[(3, 14, false), (4, 1, false)],
    );
    around(script.kick(1))
}

pub(super) fn graphics(data: &[u8]) {
    drive_graphics(data);
}

fn drive_graphics(data: &[u8]) -> u64 {
    let surface = Arc::new(Surface::new(16, 16));
    let vga = shared(Vga::without_legacy().unwrap());
    let owner = Renderer::new(vga, Arc::clone(&surface)).owner();
    let placed = Cell::new(false);
    let device = Graphics::new(surface, owner, (1280, 800), move || {
        placed.replace(!placed.get())
    });
    let handle = device.handle();
    let host = |input: &mut Input<'_>| {
        handle.ask_for_size(input.word().into(), input.word().into());
    };
    drive(device, data, host, &|| {})
}

pub(super) fn graphics_seeds() -> Vec<Vec<u8>> {
    let request = |kind: u32, fields: &[u32]| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.resize(24, 0);
        bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        bytes
    };
    let ask = |script: Script, queue: u8, kind: u32, fields: &[u32]| {
        let request = request(kind, fields);
        let length = request.len() as u16;
        script
            .chain(queue, &request, &[(0, length, false), (0x20, 2048, true)])
            .kick(queue)
    };
    let memory = BUFFERS as u32 + 0x3_0000;
    let mut script = Script::default().up();
    for (kind, fields) in [
        (0x100, &[][..]),
        (0x10a, &[0, 0]),
        (0x101, &[1, 2, 64, 32]),
        (
            0x106,
            &[1, 2, memory, 0, 5000, 0, memory + 0x2000, 0, 5000, 0],
        ),
        (0x103, &[0, 0, 64, 32, 0, 1]),
        (0x105, &[3, 2, 40, 20, 524, 0, 1, 0]),
        (0x104, &[0, 0, 64, 32, 1, 0]),
        (0x103, &[8, 8, 16, 16, 0, 1]),
        (0x101, &[2, 1, 16, 16]),
    ] {
        script = ask(script, 0, kind, fields);
    }
    script = ask(script, 1, 0x300, &[0, 5, 5, 0, 2, 3, 3, 0]);
    for place in [4, 9] {
        script = ask(script, 1, 0x301, &[0, place, 0, 0, 2, 0, 0, 0]);
    }
    script = script.code(HOST).word(800).word(600).set(4, 0x2004, 4, 1);
    for (kind, fields) in [(0x102, &[1, 0][..]), (0x107, &[2, 0]), (0x103, &[0; 6])] {
        script = ask(script, 0, kind, fields);
    }
    around(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_carried_out() {
        type Case = (fn(&[u8]) -> u64, fn() -> Vec<Vec<u8>>, u64);
        let cases: [Case; 7] = [
            (drive_block, block_seeds, 6),
            (drive_network, network_seeds, 8),
            (drive_input, input_seeds, 2),
            (drive_entropy, entropy_seeds, 2),
            (drive_balloon, balloon_seeds, 4),
            (drive_console, console_seeds, 3),
            (drive_graphics, graphics_seeds, 15),
        ];
        for (drive, seeds, least) in cases {
            for seed in seeds() {
                let used = drive(&seed);
                assert!(used >= least, "{used} of {least}");
            }
        }
    }
}
