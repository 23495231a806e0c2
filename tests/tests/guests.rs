//! Whole operating systems on generation 1 machines. Their kernels need hardware virtualization, so they run in the nested rig.

use guesthouse_engine::Definition;
use guesthouse_engine::display::Rectangle;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::{Guest, with_medium};
use guesthouse_tests::media::gathered;
use guesthouse_tests::picture::Picture;
use guesthouse_tests::serial::SerialLog;

/// A machine with `mebibytes` of memory and `processors`, which starts from the gathered medium `name`.
fn machine(name: &str, mebibytes: u64, processors: u32) -> Definition {
    let mut definition = with_medium(&gathered(name));
    definition.memory.mebibytes = mebibytes;
    definition.processor.count = processors;
    definition
}

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn memtest86_tests_the_memory_with_two_processors() {
    let guest = Guest::start(machine("memtest86plus.iso", 128, 2), |_| {});
    guest.wait_for("Memtest86+ v6", 120);
    guest.wait_for("2 Cores 2 Threads    SMP: 2T (PAR)", 60);
    guest.wait_until("the third test", 300, |screen| {
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
    guest.press("f1");
    guest.wait_for("<F1>  Test selection", 60);
    guest.keep_screen("settings");
    guest.press("f10");
    guest.wait_until("the screen below the settings", 60, |screen| {
        !screen.contains("Settings:") && screen.contains("Errors: 0")
    });
}

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn ipxe_comes_to_its_shell() {
    let guest = Guest::start(machine("ipxe.iso", 64, 1), |_| {});
    guest.wait_for("Open Source Network Boot Firmware", 180);
    guest.wait_for("Ctrl-B", 60);
    guest.press("ctrl-b");
    guest.wait_for("iPXE>", 60);
    guest.type_text("show version\n");
    guest.wait_for("builtin/version:string = 1.", 60);
    guest.keep_screen("shell");
}

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn isolinux_takes_commands_and_shows_its_menus() {
    let guest = Guest::start(machine("isolinux.iso", 64, 1), |_| {});
    let prompt = || {
        guest.wait_until("the prompt", 120, |screen| {
            screen.trim_end().ends_with("boot:")
        })
    };
    prompt();
    guest.keep_screen("prompt");

    guest.type_text("menu\n");
    guest.wait_for("Press [Tab] to edit options", 60);
    let first = guest.wait_for_picture("a menu that stands still", 60, 1, |_| true);
    guest.press("down");
    let moved = guest.wait_for_picture("the second entry chosen", 60, 1, |picture| {
        *picture != first
    });
    guest.keep_screen("menu");
    // Entries are a row of characters each, from the third on.
    let rows = |from: u32, to: u32| Rectangle::new(0, from * 16, moved.width, (to - from) * 16);
    assert_ne!(moved.difference(&first, rows(4, 6)), 0);
    assert_eq!(moved.difference(&first, rows(6, 22)), 0);
    guest.press("esc");
    prompt();

    guest.type_text("graphics\n");
    let first = guest.wait_for_picture("the menu in graphics", 60, 2, |picture| {
        (picture.width, picture.height) == (640, 480)
            && picture.share(picture.all(), |red, green, blue| red | green | blue == 0) < 50
    });
    guest.press("down");
    guest.wait_for_picture("the second entry chosen in graphics", 60, 1, |picture| {
        *picture != first
    });
    guest.keep_screen("graphics");
    guest.press("esc");
    prompt();

    guest.type_text("hardware\n");
    guest.wait_for("< Exit", 120);
    guest.wait_for("PCI Devices( 5)", 10);
    guest.keep_screen("hardware");
    guest.machine.reset().unwrap();
    prompt();
    guest.type_text("restart");
    guest.wait_for("boot: restart", 60);
    guest.press("enter");
    guest.wait_until("the start", 60, |screen| !screen.contains("restart\n"));
    prompt();
}

/// Whether `picture` is the boot menu of Debian's installer with its first entry chosen. It counts seconds until a key is pressed.
fn is_debian_menu(picture: &Picture) -> bool {
    let bar = Rectangle::new(200, 184, 300, 16);
    (picture.width, picture.height) == (640, 480)
        && picture.share(bar, |red, green, blue| {
            (90..140).contains(&red) && (140..180).contains(&green) && blue > 180
        }) > 50
}

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn debian_installer_in_text_mode() {
    let serial = SerialLog::default();
    let guest = Guest::start_with(
        machine("debian-12-text.iso", 1024, 2),
        serial.options(),
        |_| {},
    );
    guest.wait_for_picture("the boot menu", 120, 0, is_debian_menu);
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
    page("Select a language", 900);
    guest.keep_screen("language");
    guest.press("enter");
    page("Select your location", 180);
    guest.keep_screen("location");

    guest.press("alt-f2");
    guest.wait_for("Please press Enter", 60);
    guest.press("enter");
    guest.wait_for("~ #", 60);
    guest.type_text("dmesg -r > /dev/ttyS0; echo That is all. > /dev/ttyS0\n");
    guest.wait_until("the kernel's messages", 180, |_| {
        serial.text().contains("That is all.")
    });
    guest.keep_screen("shell");
    let messages = serial.text();
    for found in [
        "smp: Brought up 1 node, 2 CPUs",
        "1 ACPI AML tables successfully acquired and loaded",
        "quirk: [io  0x0600-0x063f] claimed by PIIX4 ACPI",
        "ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A",
        "input: AT Translated Set 2 keyboard",
        "serio: i8042 AUX port",
        "rtc_cmos 00:03: registered as rtc0",
    ] {
        assert!(messages.contains(found), "{found:?} is not in {messages}");
    }
    // Each message starts with its facility and severity; up to 3 are errors.
    let errors: Vec<&str> = messages
        .lines()
        .filter(|line| {
            ["<0>", "<1>", "<2>", "<3>"]
                .iter()
                .any(|severity| line.starts_with(severity))
        })
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(messages.contains("<6>"), "severities are told: {messages}");

    guest.type_text("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(60, |state| !state.is_alive()),
        State::Off
    );
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

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn debian_installer_in_graphics() {
    let guest = Guest::start(machine("debian-12-graphical.iso", 1024, 2), |_| {});
    guest.wait_for_picture("the boot menu", 120, 0, is_debian_menu);
    guest.keep_screen("menu");
    guest.press("enter");
    let language = guest.wait_for_picture("the page for the language", 1500, 5, is_list_page);
    guest.keep_screen("language");

    let title = language.part(0, 10, 30, 14);
    guest.press("down");
    let other = guest.wait_for_picture("another language chosen", 120, 2, |picture| {
        *picture != language && is_list_page(picture)
    });
    assert_eq!(other.difference(&language, title), 0);
    guest.press("up");
    guest.wait_for_picture("the first language chosen", 120, 2, |picture| {
        *picture == language
    });
    guest.press("enter");
    guest.wait_for_picture("the page for the location", 300, 5, |picture| {
        is_list_page(picture) && picture.difference(&language, title) != 0
    });
    guest.keep_screen("location");
    guest.machine.power_off().unwrap();
}
