//! Boot loaders and tools that need no operating system.

use guesthouse_engine::display::Rectangle;
use guesthouse_tests::matrix::{Cell, Row};

use super::Kind;

pub fn grub(kind: Kind) {
    let mut row = Row::new(
        "GRUB 2.06 rescue",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Cd,
            Cell::Reboots,
        ],
    );
    let guest = kind.start(kind.with_medium("grub-rescue.iso", 64, 1), |_| {});
    guest.wait_for("The highlighted entry", 300);
    row.boots();
    guest.press("c");
    guest.wait_for("grub>", 120);
    guest.type_text("ls (cd)/\n");
    guest.wait_for("boot/", 120);
    row.works(Cell::Keyboard);
    row.works(Cell::Cd);
    guest.type_text("clear; insmod all_video; loadfont unicode; terminal_output gfxterm\n");
    guest.wait_for_picture("a graphics mode", 120, 2, |picture| {
        picture.width >= 640 && picture.height >= 480 && guest.machine.screen_text().is_none()
    });
    row.works(Cell::Picture);
    guest.keep_screen("graphics");
    guest.type_text("terminal_output console; reboot\n");
    guest.wait_for("The highlighted entry", 300);
    row.works(Cell::Reboots);
    let log = guest.machine.log();
    assert!(!log.iter().any(|line| line.contains("hang")), "{log:?}");
}

pub fn memtest86(kind: Kind) {
    let mut row = Row::new(
        "memtest86+ 6.10",
        kind.name,
        &[Cell::Boots, Cell::Picture, Cell::Keyboard],
    );
    let guest = kind.start(kind.with_medium("memtest86plus.iso", 128, 2), |_| {});
    guest.wait_for("Memtest86+ v6", 300);
    row.boots();
    guest.wait_for("2 Cores 2 Threads    SMP: 2T (PAR)", 300);
    guest.wait_until("the third test", 1200, |screen| {
        ["Test #2", "Test #3", "Test #4"]
            .iter()
            .any(|test| screen.contains(test))
    });
    guest.keep_screen("testing");
    let screen = guest.screen();
    assert!(screen.contains("Errors: 0"), "{screen}");
    assert!(screen.contains("Memory  :  128MB"), "{screen}");
    assert!(
        screen.contains("Guesthouse Generation 1 machine"),
        "{screen}"
    );
    row.works(Cell::Picture);
    guest.press("f1");
    guest.wait_for("<F1>  Test selection", 120);
    row.works(Cell::Keyboard);
    guest.keep_screen("settings");
    guest.press("f10");
    guest.wait_until("the screen below the settings", 120, |screen| {
        !screen.contains("Settings:") && screen.contains("Errors: 0")
    });
}

pub fn ipxe(kind: Kind) {
    let mut row = Row::new(
        "iPXE",
        kind.name,
        &[Cell::Boots, Cell::Picture, Cell::Keyboard],
    );
    let guest = kind.start(kind.with_medium("ipxe.iso", 64, 1), |_| {});
    guest.wait_for("Open Source Network Boot Firmware", 600);
    guest.wait_for("Ctrl-B", 300);
    guest.press("ctrl-b");
    guest.wait_for("iPXE>", 300);
    row.boots();
    guest.type_text("show version\n");
    guest.wait_for("builtin/version:string = 1.", 300);
    row.works(Cell::Picture);
    row.works(Cell::Keyboard);
    guest.keep_screen("shell");
}

pub fn isolinux(kind: Kind) {
    let mut row = Row::new(
        "ISOLINUX 6.04 and HDT",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Cd,
            Cell::Reboots,
        ],
    );
    let guest = kind.start(kind.with_medium("isolinux.iso", 64, 1), |_| {});
    let prompt = || {
        guest.wait_until("the prompt", 600, |screen| {
            screen.trim_end().ends_with("boot:")
        })
    };
    prompt();
    row.boots();
    guest.keep_screen("prompt");

    guest.type_text("menu\n");
    guest.wait_for("Press [Tab] to edit options", 300);
    let first = guest.wait_for_picture("a menu that stands still", 300, 1, |_| true);
    guest.press("down");
    let moved = guest.wait_for_picture("the second entry chosen", 300, 1, |picture| {
        *picture != first
    });
    row.works(Cell::Keyboard);
    guest.keep_screen("menu");
    // Entries are a row of characters each, from the third on.
    let rows = |from: u32, to: u32| Rectangle::new(0, from * 16, moved.width, (to - from) * 16);
    assert_ne!(moved.difference(&first, rows(4, 6)), 0);
    assert_eq!(moved.difference(&first, rows(6, 22)), 0);
    guest.press("esc");
    prompt();

    guest.type_text("graphics\n");
    let first = guest.wait_for_picture("the menu in graphics", 300, 2, |picture| {
        (picture.width, picture.height) == (640, 480)
            && picture.share(picture.all(), |red, green, blue| red | green | blue == 0) < 50
    });
    guest.press("down");
    guest.wait_for_picture("the second entry chosen in graphics", 300, 1, |picture| {
        *picture != first
    });
    row.works(Cell::Picture);
    guest.keep_screen("graphics");
    guest.press("esc");
    prompt();

    guest.type_text("hardware\n");
    guest.wait_for("< Exit", 600);
    guest.wait_for("PCI Devices( 5)", 60);
    row.works(Cell::Cd);
    guest.keep_screen("hardware");
    guest.machine.reset().unwrap();
    prompt();
    guest.type_text("restart");
    guest.wait_for("boot: restart", 300);
    guest.press("enter");
    guest.wait_until("the start", 300, |screen| !screen.contains("restart\n"));
    prompt();
    row.works(Cell::Reboots);
}
