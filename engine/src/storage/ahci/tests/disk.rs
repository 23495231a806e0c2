//! Registers, resets and a hard disk's commands.

use super::*;

const SECTORS: u32 = 4096;

fn bench() -> (Arc<MemoryImage>, Bench) {
    let image = Arc::new(MemoryImage::numbered(SECTORS * 512));
    let bench = Bench::new(disk(&image));
    (image, bench)
}

#[test]
fn a_driver_finds_the_controller_its_ports_and_the_disk() {
    let (_, mut bench) = bench();
    let identity = [(0x00, 0x2922_8086), (0x08, 0x0106_0102)];
    for (offset, value) in identity {
        let found = bench
            .controller
            .read_config(offset, crate::bus::Width::Dword);
        assert_eq!(found, value, "{offset:#x}");
    }
    assert_eq!(bench.read(host::CAPABILITIES) & 0x1f, 5);
    assert_eq!(bench.read(host::PORTS_IMPLEMENTED), 0x3f);
    assert_eq!(bench.read(host::CONTROL) >> 31, 1);
    assert_eq!(bench.port(port::STATUS), 0x123);
    assert_eq!(bench.port(port::SIGNATURE), 0x0000_0101);
    assert_eq!(bench.port(port::TASK_FILE), 0x0150);
    // The signature was received as a frame when frames were enabled.
    let received = bench.bytes(FRAMES + 0x40, 20);
    assert_eq!((received[0], received[2], received[3]), (0x34, 0x50, 1));
    // Nothing is connected to the second port.
    assert_eq!(bench.read(0x180 + port::STATUS), 0);
    assert_eq!(bench.read(0x180 + port::TASK_FILE), 0x7f);
    assert_eq!(bench.read(0x180 + port::SIGNATURE), 0xffff_ffff);
}

#[test]
fn identification_comes_by_programmed_transfer_with_its_frame() {
    let (_, mut bench) = bench();
    assert_eq!(bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]), 0x50);
    assert_eq!(bench.moved(), 512);
    let words = bench.bytes(DATA, 512);
    let word = |at: usize| u16::from_le_bytes([words[2 * at], words[2 * at + 1]]);
    assert_eq!(u32::from(word(100)), SECTORS);
    let setup = bench.bytes(FRAMES + 0x20, 20);
    assert_eq!((setup[0], setup[1], setup[15]), (0x5f, 0x60, 0x50));
    assert_eq!(u16::from_le_bytes([setup[16], setup[17]]), 512);
    assert_eq!(bench.port(port::ISSUE), 0);
    assert!(bench.line.level(0));
    bench.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
    assert!(bench.line.level(0), "the controller's own status holds it");
    bench.write(host::INTERRUPT_STATUS, 1);
    assert!(!bench.line.level(0));
}

#[test]
fn sectors_go_to_and_from_scattered_memory() {
    let image = Arc::new(MemoryImage::numbered(SECTORS * 512));
    let meter = Arc::new(Meter::default());
    let mut bench = Bench::with_faults(disk(&image), meter.clone());
    let pieces = [(DATA, 1024), (DATA + 0x8000, 2), (DATA + 0x9000, 510)];
    assert_eq!(bench.run(&frame(0x25, 8, 3), &pieces), 0x50);
    assert_eq!(bench.moved(), 1536);
    let mut read = bench.bytes(DATA, 1024);
    read.extend(bench.bytes(DATA + 0x8000, 2));
    read.extend(bench.bytes(DATA + 0x9000, 510));
    assert_eq!(read, image.data.lock()[8 * 512..11 * 512]);

    bench.memory.write(DATA, &[0xa5; 1024]).unwrap();
    assert_eq!(bench.run(&frame(0x35, 100, 2), &[(DATA, 1024)]), 0x50);
    assert_eq!(image.data.lock()[100 * 512..102 * 512], [0xa5; 1024]);
    assert_eq!(bench.run(&frame(0xea, 0, 0), &[]), 0x50);
    assert_eq!(
        *image.journal.lock(),
        [format!("write {}+1024", 100 * 512), "flush".to_owned()]
    );
    assert_eq!(meter.moved(), (1536, 1024));
}

#[test]
fn every_slot_is_carried_out_in_turn() {
    let (_, mut bench) = bench();
    // From the last on: the first slot's header is where they are made.
    for slot in (0..32_u64).rev() {
        bench.prepare_slot(slot, &frame(0x25, slot, 1), &[(DATA + slot * 512, 512)]);
    }
    bench.set_port(port::ISSUE, 0xffff_ffff);
    while bench.port(port::ISSUE) != 0 {
        bench.wait();
    }
    let data = bench.bytes(DATA, 32 * 512);
    for (at, word) in data.chunks(4).enumerate() {
        assert_eq!(u32::from_le_bytes(word.try_into().unwrap()), at as u32);
    }
}

#[test]
fn what_fails_halts_the_port_until_it_is_started_anew() {
    let (image, mut bench) = bench();
    // Beyond the end.
    let outcome = bench.run(&frame(0x25, u64::from(SECTORS), 1), &[(DATA, 512)]);
    assert_eq!(outcome, 0x1041);
    assert_eq!(bench.port(port::INTERRUPT_STATUS) >> 30, 1);
    assert_eq!(bench.port(port::ISSUE), 1, "the failed command stays");
    bench.restart();
    assert_eq!(bench.port(port::ISSUE), 0);
    // Less memory than data.
    assert_eq!(bench.run(&frame(0x25, 0, 4), &[(DATA, 512)]), 0x0441);
    assert_eq!(bench.port(port::INTERRUPT_STATUS) >> 24 & 1, 1);
    bench.restart();
    // What is not memory.
    assert_eq!(bench.run(&frame(0x25, 0, 1), &[(1 << 40, 512)]), 0x0441);
    bench.restart();
    // A command that does not exist.
    assert_eq!(bench.run(&frame(0xfe, 0, 0), &[]), 0x0441);
    bench.restart();
    assert_eq!(bench.run(&frame(0x25, 0, 1), &[(DATA, 512)]), 0x50);
    drop(image);
}

#[test]
fn a_full_disk_waits_for_the_fault_handler() {
    let image = Arc::new(MemoryImage::numbered(SECTORS * 512));
    let judge = Arc::new(Judge::default());
    let mut bench = Bench::with_faults(disk(&image), judge.clone());
    image.full.store(true, std::sync::atomic::Ordering::SeqCst);
    bench.prepare(&frame(0x35, 0, 1), None, &[(DATA, 512)]);
    bench.set_port(port::ISSUE, 1);
    judge.asked();
    // A pause does not wait for it, and the guest sees a busy disk.
    bench.wait();
    assert_eq!(bench.port(port::TASK_FILE) & 0x80, 0x80);
    assert!(judge.names.lock()[0].contains("hard disk 1"));
    image.full.store(false, std::sync::atomic::Ordering::SeqCst);
    judge.answer(Verdict::Retry);
    while bench.port(port::ISSUE) != 0 {
        std::thread::yield_now();
    }
    assert_eq!(bench.port(port::TASK_FILE), 0x50);
    assert_eq!(image.data.lock()[..512], bench.bytes(DATA, 512));
}

#[test]
fn software_resets_and_resets_of_the_link_show_the_signature() {
    let (_, mut bench) = bench();
    let mut control = frame(0, 0, 0);
    control[1] = 0;
    control[15] = 4;
    bench.prepare(&control, None, &[]);
    bench.issue();
    assert_eq!(bench.port(port::TASK_FILE) & 0x80, 0x80);
    control[15] = 0;
    bench.prepare(&control, None, &[]);
    assert_eq!(bench.issue(), 0x0150);
    // COMRESET.
    bench.set_port(port::COMMAND, 0x10);
    bench.set_port(port::CONTROL, 0x301);
    assert_eq!(bench.port(port::STATUS) & 0xf, 0);
    bench.set_port(port::CONTROL, 0x300);
    assert_eq!(bench.port(port::STATUS) & 0xf, 3);
    assert_eq!(bench.port(port::SIGNATURE), 0x101);
    assert_eq!(bench.port(port::ERROR) >> 26 & 1, 1);
    assert_eq!(bench.port(port::INTERRUPT_STATUS) >> 6 & 1, 1);
    bench.set_port(port::ERROR, 0xffff_ffff);
    assert_eq!(bench.port(port::INTERRUPT_STATUS) >> 6 & 1, 0);
}

#[test]
fn a_reset_of_the_controller_forgets_everything() {
    let (_, mut bench) = bench();
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert!(bench.line.level(0));
    bench.write(host::CONTROL, host::RESET);
    assert_eq!(bench.read(host::CONTROL), host::AHCI_ENABLE);
    assert!(!bench.line.level(0));
    assert_eq!(bench.port(port::COMMAND_LIST), 0);
    assert_eq!(bench.port(port::COMMAND) & 0xc011, 0);
    bench.start();
    assert_eq!(bench.run(&frame(0x25, 0, 1), &[(DATA, 512)]), 0x50);
}

#[test]
fn the_line_can_be_disabled_by_the_command_register() {
    use crate::bus::Width;
    let (_, mut bench) = bench();
    bench.controller.write_config(4, Width::Word, 0x0406);
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert!(!bench.line.level(0));
    assert_eq!(bench.controller.read_config(6, Width::Word) & 8, 8);
    bench.controller.write_config(4, Width::Word, 0x0006);
    assert!(bench.line.level(0));
}

#[test]
fn a_message_takes_the_place_of_the_line() {
    use crate::bus::{Message, Width};
    const ADDRESS: u64 = 0xfee0_1000;
    let (_, mut bench) = bench();
    assert_eq!(bench.controller.read_config(0x34, Width::Byte), 0x80);
    for (offset, value) in [(0x84, ADDRESS as u32), (0x88, 0), (0x8c, 0x4041)] {
        bench.controller.write_config(offset, Width::Dword, value);
    }
    let message = Message {
        address: ADDRESS,
        data: 0x4041,
    };
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert!(bench.line.level(0) && bench.messages.take().is_empty());
    // What is waiting is told when messages are switched on.
    bench.controller.write_config(0x82, Width::Word, 1);
    assert!(!bench.line.level(0));
    assert_eq!(bench.messages.take(), [message]);
    // Acknowledged for the controller only, it is told again.
    bench.write(host::INTERRUPT_STATUS, 1);
    assert_eq!(bench.messages.take(), [message]);
    // A driver acknowledges at the port, then at the controller.
    bench.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
    bench.write(host::INTERRUPT_STATUS, 1);
    assert!(bench.messages.take().is_empty());
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert_eq!(bench.messages.take(), [message], "once a command");
    // Nothing more while it is not acknowledged, and none without the controller's own bit.
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    bench.write(host::CONTROL, 0);
    bench.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
    bench.write(host::INTERRUPT_STATUS, 1);
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert!(bench.messages.take().is_empty());
    bench.write(host::CONTROL, host::INTERRUPT_ENABLE);
    assert_eq!(bench.messages.take(), [message]);
    assert!(!bench.line.level(0));
    bench.controller.reset();
    bench.start();
    bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]);
    assert!(bench.line.level(0) && bench.messages.take().is_empty());
}
