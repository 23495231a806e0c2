//! The firmware of generation 2 machines: its shell, its variables, and what it starts from disks and media.

use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::matrix::{Cell, Row};

use super::Kind;

pub fn shell(kind: Kind) {
    let mut row = Row::new(
        "UEFI shell of OVMF",
        kind.name,
        &[Cell::Boots, Cell::Picture, Cell::Keyboard, Cell::ShutsDown],
    );
    let guest = Guest::start(kind.empty(256, 1), |_| {});
    guest.wait_for_serial("Shell>", 900);
    row.boots();
    let picture = guest.wait_for_picture("the shell", 60, 1, |picture| {
        (picture.width, picture.height) == (1280, 800)
            && picture.share(picture.all(), |red, green, _| red > 200 && green > 200) > 0
    });
    row.works(Cell::Picture);
    guest.keep_screen("shell");
    guest.type_text("pci\n");
    guest.wait_for_serial("Serial ATA controller", 120);
    assert_ne!(guest.picture(), picture);
    row.works(Cell::Keyboard);
    guest.keep_screen("pci");
    guest.type_text("reset -s\n");
    assert_eq!(
        guest.wait_for_state(120, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

/// A variable that the guest sets is there after a power cycle, and after the power went away without a word.
pub fn variables_survive(kind: Kind) {
    let definition = kind.empty(256, 1);
    let guest = Guest::start(definition.clone(), |_| {});
    guest.wait_for_serial("Shell>", 900);
    guest.type_text("set -v nothing 1\nset kept yes\n");
    guest.type_text("set kept\n");
    guest.wait_for_serial("kept = yes", 120);
    let folder = guest.into_folder();
    let guest = Guest::start_in(folder, definition);
    guest.wait_for_serial("Shell>", 900);
    guest.type_text("set\n");
    guest.wait_for_serial("kept = yes", 120);
    assert!(!guest.serial().contains("nothing ="), "a volatile variable");
    guest.keep_screen("kept");
}
