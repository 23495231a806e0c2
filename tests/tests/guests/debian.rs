//! Debian 12's installer, as text and graphical.

use guesthouse_engine::display::Rectangle;
use guesthouse_engine::machine::State;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::picture::Picture;

use super::Kind;

/// Whether `picture` is the boot menu of Debian's installer with its first entry chosen. It counts seconds until a key is pressed.
fn is_debian_menu(picture: &Picture) -> bool {
    let bar = Rectangle::new(200, 184, 300, 16);
    (picture.width, picture.height) == (640, 480)
        && picture.share(bar, |red, green, blue| {
            (90..140).contains(&red) && (140..180).contains(&green) && blue > 180
        }) > 50
}

pub fn debian_installer_in_text_mode(kind: Kind) {
    let mut row = Row::new(
        "Debian 12 installer, text",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Cd,
            Cell::ShutsDown,
        ],
    );
    let guest = kind.start(kind.with_medium("debian-12-text.iso", 1024, 2), |_| {});
    guest.wait_for_picture("the boot menu", 600, 0, is_debian_menu);
    guest.press("tab");
    guest.type_text(" vga=normal fb=false modprobe.blacklist=bochs");
    guest.keep_screen("menu");
    guest.press("enter");
    // Each page's last line is drawn last.
    let page = |title: &str, seconds| {
        guest.wait_until(title, seconds, |screen| {
            screen.contains(title) && screen.contains("<Enter> activates buttons")
        })
    };
    page("Select a language", 3000);
    row.boots();
    row.works(Cell::Cd);
    guest.keep_screen("language");
    guest.press("enter");
    page("Select your location", 600);
    row.works(Cell::Keyboard);
    row.works(Cell::Picture);
    guest.keep_screen("location");

    guest.press("alt-f2");
    guest.wait_for("Please press Enter", 300);
    guest.press("enter");
    guest.wait_for("~ #", 300);
    guest.type_text("dmesg -r > /dev/ttyS0; echo That is all. > /dev/ttyS0\n");
    guest.wait_for_serial("That is all.", 600);
    guest.keep_screen("shell");
    let messages = guest.serial();
    for found in [
        "smp: Brought up 1 node, 2 CPUs",
        "1 ACPI AML tables successfully acquired and loaded",
        "ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A",
        "input: AT Translated Set 2 keyboard",
        "serio: i8042 AUX port",
        "registered as rtc0",
    ] {
        assert!(messages.contains(found), "{found:?} is not in {messages}");
    }
    guest.judge(&messages);

    guest.type_text("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(300, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

/// Whether `picture` is a page of the graphical installer with a list in it, one row of which is chosen.
fn is_list_page(picture: &Picture) -> bool {
    let list = picture.part(5, 22, 90, 90);
    let white = picture.share(list, |red, green, blue| red & green & blue == 255);
    let chosen = picture.share(list, |red, green, blue| {
        red < 80 && green > 100 && blue > 90
    });
    white > 60 && (2..30).contains(&chosen)
}

pub fn debian_installer_in_graphics(kind: Kind) {
    let mut row = Row::new(
        "Debian 12 installer, graphical",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Pointer,
            Cell::Cd,
        ],
    );
    let guest = kind.start(kind.with_medium("debian-12-graphical.iso", 1024, 2), |_| {});
    if !kind.is_uefi() {
        guest.wait_for_picture("the boot menu", 600, 0, is_debian_menu);
        guest.keep_screen("menu");
        guest.press("enter");
    }
    let language = guest.wait_for_picture("the page for the language", 4000, 5, is_list_page);
    row.boots();
    row.works(Cell::Cd);
    row.works(Cell::Picture);
    guest.keep_screen("language");

    let title = language.part(0, 10, 30, 14);
    guest.press("down");
    let other = guest.wait_for_picture("another language chosen", 600, 2, |picture| {
        *picture != language && is_list_page(picture)
    });
    assert_eq!(other.difference(&language, title), 0);
    guest.press("up");
    guest.wait_for_picture("the first language chosen", 600, 2, |picture| {
        *picture == language
    });
    guest.press("enter");
    guest.wait_for_picture("the page for the location", 1200, 5, |picture| {
        is_list_page(picture) && picture.difference(&language, title) != 0
    });
    guest.keep_screen("location");
    row.works(Cell::Keyboard);

    // Another row of the list by the pointer, some rows below the one that is chosen.
    let location = guest.picture();
    let list = location.part(5, 22, 90, 90);
    guest.click(list.x + list.width / 4, list.y + list.height * 3 / 4, 1200);
    guest.wait_for_picture("another location chosen", 300, 1, |picture| {
        is_list_page(picture) && picture.difference(&location, list) > 500
    });
    guest.keep_screen("clicked");
    row.works(Cell::Pointer);
}
