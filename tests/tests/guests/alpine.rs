//! Alpine with a root file system on a disk.

use guesthouse_engine::definition::ImageFormat;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::media::gathered;

use super::linux::{BOOT, COMMAND, learn_to_read};
use super::{Kind, add_disk};

pub fn alpine(kind: Kind) {
    if kind.is_uefi() {
        learn_to_read(kind);
    }
    let mut row = Row::new(
        "Alpine 3.23",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Disk,
            Cell::Cd,
            Cell::Reboots,
        ],
    );
    let mut definition = kind.with_medium("alpine.iso", 512, 1);
    add_disk(&mut definition, "alpine.qcow2", ImageFormat::Qcow2);
    let guest = kind.start(definition, |folder| {
        std::fs::copy(gathered("alpine.qcow2"), folder.join("alpine.qcow2")).unwrap();
    });
    let login = || guest.wait_for("login:", BOOT);
    login();
    row.boots();
    row.works(Cell::Picture);
    row.works(Cell::Disk);
    row.works(Cell::Cd);
    guest.keep_screen("login");
    guest.type_text("root\n");
    guest.wait_for("Password:", COMMAND);
    row.works(Cell::Keyboard);
    guest.press("ctrl-alt-delete");
    guest.wait_until("the start", COMMAND, |screen| !screen.contains("login:"));
    login();
    row.works(Cell::Reboots);
}
