use std::sync::atomic::AtomicBool;

use super::*;
use crate::bus::{InterruptLine, MessageRecorder, Recorder, Unconnected, Width, shared};
use crate::display::Rectangle;
use crate::display::vga::{Renderer, Vga};
use crate::pci::PciFunction;
use crate::virtio::Connections;
use crate::virtio::testing::Driver;

const OK: u32 = 0x1100;
const ERROR_MEMORY: u32 = 0x1201;
const ERROR_SCANOUT: u32 = 0x1202;
const ERROR_RESOURCE: u32 = 0x1203;
const ERROR_PARAMETER: u32 = 0x1205;
const ERROR_UNSPECIFIED: u32 = 0x1200;

const FORMAT: u32 = 2;
const FORMAT_ALPHA: u32 = 1;

/// A device with its driver, on a screen of its own.
struct Rig {
    driver: Driver,
    surface: Arc<Surface>,
    owner: ScreenOwner,
    handle: GraphicsHandle,
    placed: Arc<AtomicBool>,
}

impl Rig {
    fn new() -> Self {
        let surface = Arc::new(Surface::new(64, 32));
        let owner = Renderer::new(shared(Vga::new(&[]).unwrap()), Arc::clone(&surface)).owner();
        let placed = Arc::new(AtomicBool::new(true));
        let looked_at = Arc::clone(&placed);
        let device = Graphics::new(
            Arc::clone(&surface),
            owner.clone(),
            (1280, 800),
            move || looked_at.load(Ordering::Relaxed),
        );
        let handle = device.handle();
        let mut driver = Driver::new(device);
        driver.start(FEATURE_IDENTIFICATION);
        Self {
            driver,
            surface,
            owner,
            handle,
            placed,
        }
    }

    /// The answer to a request without a fence.
    fn ask(&mut self, queue: usize, kind: u32, fields: &[u32]) -> (u32, Vec<u8>) {
        let mut request = kind.to_le_bytes().to_vec();
        request.resize(24, 0);
        request.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        let used = self.driver.request(queue, &[&request], &[2048]);
        let answer = used.data[..used.written as usize].to_vec();
        let kind = u32::from_le_bytes(answer[..4].try_into().unwrap());
        (kind, answer[24..].to_vec())
    }

    /// What became of a request on the control queue.
    fn control(&mut self, kind: u32, fields: &[u32]) -> u32 {
        self.ask(CONTROL, kind, fields).0
    }

    fn point(&mut self, kind: u32, fields: &[u32]) -> u32 {
        self.ask(CURSOR, kind, fields).0
    }

    /// A picture with memory of its own behind it in two pieces; where that is.
    fn picture(&mut self, number: u32, format: u32, width: u32, height: u32) -> u64 {
        let create = [number, format, width, height];
        assert_eq!(self.control(request::CREATE, &create), OK);
        let length = width * height * 4;
        let memory = self.driver.buffer(length as usize);
        let low = u32::try_from(memory).unwrap();
        let first = 20.min(length - 1);
        let attach = [
            number,
            2,
            low,
            0,
            first,
            0,
            low + first,
            0,
            length - first,
            0,
        ];
        assert_eq!(self.control(request::ATTACH_BACKING, &attach), OK);
        memory
    }

    fn paint(&self, memory: u64, pixels: impl IntoIterator<Item = u32>) {
        let bytes: Vec<u8> = pixels.into_iter().flat_map(u32::to_le_bytes).collect();
        self.driver.memory.write(memory, &bytes).unwrap();
    }

    /// A picture of 8 by 4 on the screen, whose pixels are their numbers, and its memory.
    fn shown() -> (Self, u64) {
        let mut rig = Self::new();
        let memory = rig.picture(1, FORMAT, 8, 4);
        rig.paint(memory, 0..32);
        let transfer = [0, 0, 8, 4, 0, 0, 1, 0];
        assert_eq!(rig.control(request::TRANSFER, &transfer), OK);
        let scanout = [0, 0, 8, 4, 0, 1];
        assert_eq!(rig.control(request::SET_SCANOUT, &scanout), OK);
        (rig, memory)
    }

    fn screen(&self) -> Vec<u32> {
        self.surface.view().pixels().to_vec()
    }
}

#[test]
fn what_the_display_is() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.driver.config::<16>(0),
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    );
    let (kind, body) = rig.ask(CONTROL, request::DISPLAY_INFORMATION, &[]);
    assert_eq!((kind, body.len()), (0x1101, 384));
    let numbers = body.as_chunks::<4>().0[..6].iter();
    let numbers: Vec<_> = numbers.map(|bytes| u32::from_le_bytes(*bytes)).collect();
    assert_eq!(numbers, [0, 0, 1280, 800, 1, 0]);
    assert!(body[24..].iter().all(|byte| *byte == 0), "no other scanout");
    let (kind, body) = rig.ask(CONTROL, request::IDENTIFICATION, &[0, 0]);
    assert_eq!((kind, body.len(), body[0]), (0x1104, 8 + 1024, 128));
    assert_eq!(body[8..136], edid::block(1280, 800));
    let other = rig.ask(CONTROL, request::IDENTIFICATION, &[1, 0]).0;
    assert_eq!(other, ERROR_SCANOUT);
}

#[test]
fn another_size_is_asked_for() {
    let mut rig = Rig::new();
    let size = |rig: &mut Rig| {
        let body = rig.ask(CONTROL, request::DISPLAY_INFORMATION, &[]).1;
        let numbers = body.as_chunks::<4>().0[2..4].iter();
        numbers
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect::<Vec<_>>()
    };
    assert!(rig.handle.ask_for_size(1443, 901));
    assert_eq!(rig.driver.config::<1>(0), [1], "the display has changed");
    assert_eq!(size(&mut rig), [1440, 901]);
    rig.driver.write(0x2004, 4, 1);
    assert_eq!(rig.driver.config::<1>(0), [0], "the driver has seen it");
    assert!(rig.handle.ask_for_size(1447, 901));
    assert_eq!(rig.driver.config::<1>(0), [0], "the same once more");
    for (asked, expected) in [
        ((0, u32::MAX), [320, 4088]),
        ((u32::MAX, 0), [4088, 320]),
        ((321, 321), [320, 321]),
    ] {
        assert!(rig.handle.ask_for_size(asked.0, asked.1));
        assert_eq!(size(&mut rig), expected);
    }
    // Without a driver it is kept for the next one.
    rig.driver.write(0x14, 1, 0);
    assert!(!rig.handle.ask_for_size(800, 600));
    rig.driver.start(0);
    assert_eq!(size(&mut rig), [800, 600]);
}

#[test]
fn a_picture_is_shown() {
    let (mut rig, memory) = Rig::shown();
    assert!(rig.owner.is_taken());
    assert_eq!(rig.surface.view().size(), (8, 4));
    assert_eq!(rig.screen(), (0..32).collect::<Vec<_>>());
    // What the driver paints comes to the screen by a transfer and a flush, and only that part.
    rig.paint(memory, 100..132);
    let transfer = [2, 1, 3, 2, (8 + 2) * 4, 0, 1, 0];
    assert_eq!(rig.control(request::TRANSFER, &transfer), OK);
    assert_eq!(rig.screen()[10], 10, "not yet");
    assert_eq!(rig.control(request::FLUSH, &[3, 0, 5, 2, 1, 0]), OK);
    let expected = |at: u32| match at {
        // Of the second row only: the flush ends there.
        11 | 12 => at + 100,
        _ => at,
    };
    assert_eq!(rig.screen(), (0..32).map(expected).collect::<Vec<_>>());
    // A part of the picture.
    let part = [4, 2, 3, 2, 0, 1];
    assert_eq!(rig.control(request::SET_SCANOUT, &part), OK);
    assert_eq!(rig.surface.view().size(), (3, 2));
    assert_eq!(rig.screen(), [120, 21, 22, 28, 29, 30]);
    // Nothing: the screen is dark and still the driver's.
    assert_eq!(rig.control(request::SET_SCANOUT, &[0; 6]), OK);
    assert_eq!(rig.screen(), [0; 6]);
    assert!(rig.owner.is_taken());
    // The picture goes, and with a reset the screen.
    assert_eq!(rig.control(request::SET_SCANOUT, &part), OK);
    assert_eq!(rig.control(request::UNREFERENCE, &[1, 0]), OK);
    assert_eq!(rig.screen(), [0; 6]);
    rig.driver.write(0x14, 1, 0);
    assert!(!rig.owner.is_taken());
}

#[test]
fn fences_are_repeated_and_short_answers_cut() {
    let mut rig = Rig::new();
    let mut request = request::DISPLAY_INFORMATION.to_le_bytes().to_vec();
    request.extend(1_u32.to_le_bytes());
    request.extend(0x1122_3344_5566_7788_u64.to_le_bytes());
    request.extend([7, 0, 0, 0, 3, 0, 0, 0]);
    let used = rig.driver.request(CONTROL, &[&request], &[24]);
    assert_eq!(used.written, 24);
    assert_eq!(used.data[4..], request[4..]);
    for (length, room) in [(0, 24), (23, 24), (24, 0)] {
        let used = rig.driver.request(
            CONTROL,
            &[&request[..length]],
            &[room.max(1)][..usize::from(room > 0)],
        );
        assert_eq!(used.written, 0, "{length} {room}");
    }
}

#[test]
fn the_pointer_is_drawn_by_viewers_or_into_the_picture() {
    let (mut rig, _) = Rig::shown();
    let memory = rig.picture(2, FORMAT_ALPHA, 2, 2);
    rig.paint(memory, [0xff00_00aa, 0, 0x8000_0040, 0xff00_bb00]);
    assert_eq!(
        rig.control(request::TRANSFER, &[0, 0, 2, 2, 0, 0, 2, 0]),
        OK
    );
    let update = [0, 3, 2, 0, 2, 1, 1, 0];
    assert_eq!(rig.point(request::UPDATE_CURSOR, &update), OK);
    {
        let view = rig.surface.view();
        let (cursor, _) = view.cursor();
        let cursor = cursor.unwrap();
        assert_eq!((cursor.width, cursor.hot_x, cursor.hot_y), (2, 1, 1));
        assert_eq!(cursor.pixels[3], 0xff00_bb00);
    }
    assert_eq!(rig.screen(), (0..32).collect::<Vec<_>>());
    // The person's pointer is not the guest's: at (3, 2) with the second pixel pointing, it covers from (2, 1) on.
    rig.placed.store(false, Ordering::Relaxed);
    assert_eq!(rig.point(request::MOVE_CURSOR, &[0, 3, 2, 0]), OK);
    assert!(rig.surface.view().cursor().0.is_none());
    let with = |at: usize| rig.screen()[at];
    // Opaque; through; half; opaque.
    assert_eq!(
        [with(10), with(11), with(18), with(19)],
        [0xaa, 11, 0x40 + 18 * 127 / 255, 0xbb00]
    );
    // What the guest paints below it goes on under it.
    assert_eq!(rig.control(request::FLUSH, &[0, 0, 8, 4, 1, 0]), OK);
    assert_eq!(rig.screen()[10], 0xaa);
    // It moves on, in part over the edge; what it covered is as before.
    assert_eq!(rig.point(request::MOVE_CURSOR, &[0, 0, 0, 0]), OK);
    let screen = rig.screen();
    assert_eq!((screen[10], screen[19], screen[0]), (10, 19, 0xbb00));
    // No shape.
    assert_eq!(
        rig.point(request::UPDATE_CURSOR, &[0, 0, 0, 0, 0, 0, 0, 0]),
        OK
    );
    assert_eq!(rig.screen(), (0..32).collect::<Vec<_>>());
}

#[test]
fn what_a_driver_must_not_do_is_refused() {
    let (mut rig, _) = Rig::shown();
    let low = 0x10_0000;
    for (kind, fields, expected) in [
        (request::CREATE, &[0, FORMAT, 1, 1][..], ERROR_RESOURCE),
        (request::CREATE, &[1, FORMAT, 1, 1], ERROR_RESOURCE),
        (request::CREATE, &[9, 0, 1, 1], ERROR_PARAMETER),
        (request::CREATE, &[9, FORMAT, 0, 1], ERROR_PARAMETER),
        (request::CREATE, &[9, FORMAT, 1, 8193], ERROR_PARAMETER),
        (request::CREATE, &[9, FORMAT, 8192, 8192], ERROR_MEMORY),
        (request::CREATE, &[9, FORMAT], ERROR_PARAMETER),
        (request::UNREFERENCE, &[9, 0], ERROR_RESOURCE),
        (request::SET_SCANOUT, &[0, 0, 8, 4, 1, 1], ERROR_SCANOUT),
        (request::SET_SCANOUT, &[0, 0, 8, 4, 0, 9], ERROR_RESOURCE),
        (request::SET_SCANOUT, &[0, 0, 9, 4, 0, 1], ERROR_PARAMETER),
        (request::SET_SCANOUT, &[0, 0, 0, 4, 0, 1], ERROR_PARAMETER),
        (
            request::SET_SCANOUT,
            &[u32::MAX, 0, 2, 4, 0, 1],
            ERROR_PARAMETER,
        ),
        (request::FLUSH, &[0, 0, 8, 5, 1, 0], ERROR_PARAMETER),
        (request::FLUSH, &[0, 0, 8, 4, 9, 0], ERROR_RESOURCE),
        (
            request::TRANSFER,
            &[0, 0, 8, 4, 4, 0, 1, 0],
            ERROR_UNSPECIFIED,
        ),
        (
            request::TRANSFER,
            &[0, 0, 8, 4, u32::MAX, u32::MAX, 1, 0],
            ERROR_UNSPECIFIED,
        ),
        (
            request::TRANSFER,
            &[8, 0, 1, 1, 0, 0, 1, 0],
            ERROR_PARAMETER,
        ),
        (request::TRANSFER, &[0, 0, 1, 1, 0, 0, 9, 0], ERROR_RESOURCE),
        (
            request::ATTACH_BACKING,
            &[1, 1, low, 0, 16, 0],
            ERROR_UNSPECIFIED,
        ),
        (request::ATTACH_BACKING, &[9, 0], ERROR_RESOURCE),
        (
            request::ATTACH_BACKING,
            &[1, 2, low, 0, 16, 0],
            ERROR_PARAMETER,
        ),
        (request::ATTACH_BACKING, &[1, u32::MAX], ERROR_PARAMETER),
        (request::DETACH_BACKING, &[9, 0], ERROR_RESOURCE),
        (0x108, &[], ERROR_UNSPECIFIED),
        (request::UPDATE_CURSOR, &[0; 8], ERROR_UNSPECIFIED),
    ] {
        assert_eq!(rig.control(kind, fields), expected, "{kind:#x} {fields:?}");
    }
    assert_eq!(rig.control(request::DETACH_BACKING, &[1, 0]), OK);
    let outside = [1, 1, 0, 1, 16, 0];
    assert_eq!(
        rig.control(request::ATTACH_BACKING, &outside),
        ERROR_PARAMETER
    );
    for (kind, fields, expected) in [
        (
            request::UPDATE_CURSOR,
            [1, 0, 0, 0, 0, 0, 0, 0],
            ERROR_SCANOUT,
        ),
        (
            request::UPDATE_CURSOR,
            [0, 0, 0, 0, 9, 0, 0, 0],
            ERROR_RESOURCE,
        ),
        (
            request::CREATE,
            [9, FORMAT, 1, 1, 0, 0, 0, 0],
            ERROR_SCANOUT,
        ),
        // A shape that is larger than any pointer is none; places may be anywhere.
        (
            request::MOVE_CURSOR,
            [0, u32::MAX, u32::MAX, 0, 0, 0, 0, 0],
            OK,
        ),
        (request::UPDATE_CURSOR, [0, 0, 0, 0, 1, u32::MAX, 9, 0], OK),
    ] {
        assert_eq!(rig.point(kind, &fields), expected, "{kind:#x} {fields:?}");
    }
    assert_eq!(rig.screen(), (0..32).collect::<Vec<_>>(), "as before");
}

#[test]
fn the_pictures_are_bounded() {
    let mut rig = Rig::new();
    let mut made = 0;
    while rig.control(request::CREATE, &[made + 1, FORMAT, 4096, 4096]) == OK {
        made += 1;
    }
    assert_eq!(made, 3, "of 64 MiB each");
    let wide = [9, FORMAT, 8192, 2049];
    assert_eq!(rig.control(request::UNREFERENCE, &[3, 0]), OK);
    assert_eq!(rig.control(request::CREATE, &wide), OK);
    assert_eq!(
        rig.control(request::SET_SCANOUT, &[0, 0, 8192, 2049, 0, 9]),
        ERROR_PARAMETER,
        "a screen too large"
    );
    assert_eq!(rig.control(request::UNREFERENCE, &[9, 0]), OK);
    assert_eq!(rig.control(request::UNREFERENCE, &[1, 0]), OK);
    assert_eq!(
        rig.control(request::CREATE, &[9, FORMAT, 4096, 4096]),
        OK,
        "what goes makes room"
    );
}

#[test]
fn one_function_is_both_adapters() {
    let surface = Arc::new(Surface::new(64, 32));
    let vga = shared(Vga::new(&[0x55, 0xaa, 1]).unwrap());
    let renderer = Renderer::new(vga.clone(), Arc::clone(&surface));
    let device = Graphics::new(surface, renderer.owner(), (1280, 800), || true);
    let connections = Connections {
        line: InterruptLine::new("test", Arc::new(Recorder::default()), 11),
        messages: Arc::new(MessageRecorder::default()),
        doorbells: Arc::new(Unconnected),
        memory: Driver::new(crate::virtio::entropy::Entropy::default()).memory,
    };
    let mut function = GraphicsFunction::new(device, vga.clone(), connections).unwrap();
    assert_eq!(function.read_config(0, Width::Dword), 0x1050_1af4);
    assert_eq!(function.read_config(8, Width::Dword), 0x0300_0001);
    for (offset, value) in [(0x10, 0xe000_0000), (0x18, 0xf000_0000), (4, 2)] {
        function.write_config(offset, Width::Dword, value);
    }
    for number in [0, 2] {
        let both = [function.base_addresses(), vga.lock().base_addresses()].map(|all| {
            all.iter()
                .find(|one| one.number == number)
                .map(|one| one.base)
        });
        assert!(both[0].is_some() && both[0] == both[1], "window {number}");
    }
    // The VGA's identification, the transport's number of queues.
    let mut data = [0; 2];
    function.read_window(2, 0, &mut data).unwrap();
    assert_eq!(data, [0, 0xff]);
    function.read_window(4, 0x12, &mut data).unwrap();
    assert_eq!(data, [2, 0]);
    function.reset();
    assert!(
        vga.lock()
            .base_addresses()
            .iter()
            .all(|one| one.number != 0)
    );
}

#[test]
fn a_video_bios_is_adopted() {
    let mut rom = vec![0; 512];
    rom[..3].copy_from_slice(&[0x55, 0xaa, 1]);
    rom[0x18] = 0x40;
    rom[0x40..0x48].copy_from_slice(b"PCIR\x34\x12\x11\x11");
    let sum = |rom: &[u8]| rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    rom[6] = sum(&rom).wrapping_neg();
    let adopted = GraphicsFunction::adopt_rom(rom.clone());
    assert_eq!(adopted[0x40..0x48], *b"PCIR\xf4\x1a\x50\x10");
    assert_eq!(sum(&adopted), 0);
    for (at, value) in [(0x18, 0xff), (0x19, 0xff), (0x40, 0)] {
        let mut other = rom.clone();
        other[at] = value;
        assert_eq!(GraphicsFunction::adopt_rom(other.clone()), other);
    }
    assert_eq!(GraphicsFunction::adopt_rom(vec![0x55]), [0x55]);
}

#[test]
fn a_part_that_is_flushed_is_where_it_is_shown() {
    let (mut rig, _) = Rig::shown();
    assert_eq!(rig.control(request::SET_SCANOUT, &[2, 1, 4, 2, 0, 1]), OK);
    let seen = rig.surface.view().sequence();
    assert_eq!(rig.control(request::FLUSH, &[0, 0, 2, 4, 1, 0]), OK);
    assert_eq!(
        rig.surface.view().changed_since(seen),
        Vec::<Rectangle>::new(),
        "beside what is shown"
    );
}
