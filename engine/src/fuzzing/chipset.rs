//! The firmware's flash memory and configuration device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::guest::memory;
use super::{Input, Script};
use crate::bus::{MemoryDevice, PortDevice, Width};
use crate::chipset::{Flash, FlashArray, FlashStore};
use crate::firmware::fw_cfg::{Contents, FwCfg, key};
use crate::memory::MemoryRegion;

const FLASH: usize = 16 << 10;

#[derive(Clone, Default)]
struct Board(Arc<AtomicBool>);

impl FlashArray for Board {
    fn show(&mut self, shown: bool) {
        self.0.store(shown, Ordering::SeqCst);
    }
}

impl FlashStore for Board {
    fn store(&mut self, offset: usize, data: &[u8]) {
        assert!(offset + data.len() <= FLASH);
    }
}

/// What the flash does by itself: bits are cleared one by one, set by the block, and what is beside them stays.
pub(super) fn flash(data: &[u8]) {
    let mut input = Input::new(data);
    let board = Board::default();
    let memory = MemoryRegion::new("flash", FLASH).unwrap();
    memory.fill(0, FLASH, 0xff);
    let mut flash = Flash::new(memory, Box::new(board.clone()), Box::new(board));
    while let Some(code) = input.code() {
        let offset = match code >> 6 {
            0..=2 => u64::from(input.word()),
            _ => input.quad(),
        };
        let mut data = [0; 8];
        let length = usize::from(code & 7) + 1;
        match code >> 3 & 7 {
            0 => flash.read_memory(offset, &mut data[..length]).unwrap(),
            1 if code & 7 == 7 => flash.reset(),
            _ => {
                data = input.quad().to_le_bytes();
                flash.write_memory(offset, &data[..length]).unwrap();
            }
        }
    }
}

pub(super) fn flash_seeds() -> Vec<Vec<u8>> {
    let write =
        |script: Script, offset: u16, value: u64| script.code(0x10).word(offset).quad(value);
    let read = |script: Script, offset: u16| script.code(0).word(offset);
    // The probe, a byte programmed, a block erased, as OVMF does it.
    let mut script = Script::default();
    for (offset, values) in [
        (0x10, &[0x50, 0x70, 0xff][..]),
        (0x64, &[0x10, 0xf8, 0x40, 0x12, 0xff]),
        (0x1234, &[0x20, 0xd0, 0x70, 0xff]),
        (0, &[0x20, 0x10, 0x50, 0x70, 0xff]),
    ] {
        for value in values {
            script = read(write(script, offset, *value), offset);
        }
    }
    vec![script.clone().done(), script.code(0x0f).word(0).done()]
}

pub(super) fn firmware_configuration(data: &[u8]) {
    let mut input = Input::new(data);
    let memory = memory(0x1_0000);
    let mut contents = Contents::new();
    contents.add(key::PROCESSORS, vec![2, 0]);
    contents.add_file("etc/e820", (0..40).collect());
    contents.add_writable_file("etc/written", vec![0; 8]);
    let mut device = FwCfg::new(contents, memory.clone()).unwrap();
    while let Some(code) = input.code() {
        let port = 0x510 + u16::from(code >> 4);
        let width = Width::ALL[usize::from(code >> 2 & 3) % 3];
        match code & 3 {
            0 => {
                let _ = device.read_port(port, width);
            }
            1 => {
                let _ = device.write_port(port, width, input.long() & width.ones());
            }
            2 => {
                let at = input.word().into();
                let _ = memory.write(at, input.piece());
            }
            _ if code & 0x80 != 0 => device.reset(),
            _ => device.read_port_string(port, width, &mut [0; 100]),
        }
    }
    assert_eq!(device.file("etc/e820").map(<[u8]>::len), Some(40));
    assert_eq!(device.file("etc/written").map(<[u8]>::len), Some(8));
}

pub(super) fn firmware_configuration_seeds() -> Vec<Vec<u8>> {
    let select = |script: Script, key: u16| script.code(0x05).long(key.into());
    let mut ports = Script::default();
    for key in [0, 0x19, 0x20, 0x8000] {
        ports = select(ports, key);
        for _ in 0..12 {
            ports = ports.code(0x10);
        }
        ports = ports.code(0x13);
    }
    let request = |script: Script, control: u32, length: u32, address: u64| {
        let request = [
            &control.to_be_bytes()[..],
            &length.to_be_bytes(),
            &address.to_be_bytes(),
        ]
        .concat();
        let script = script.code(2).word(0x100).piece(&request);
        script
            .code(0x49)
            .long(0)
            .code(0x89)
            .long(0x100_u32.swap_bytes())
    };
    let mut dma = request(Script::default(), 0x19 << 16 | 8 | 2, 64, 0x1000);
    for (control, length) in [
        (0x20 << 16 | 8 | 2, 40),
        (0x21 << 16 | 8 | 4, 2),
        (16, 4),
        (2, 4000),
        (4, u32::MAX),
    ] {
        dma = request(dma, control, length, 0x1000);
    }
    vec![ports.done(), dma.done()]
}
