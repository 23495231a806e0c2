//! Generation 2 machines: UEFI from its first screen to whole operating systems. They need hardware virtualization, so they run in
//! the nested rig.

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Generation, Name};
use guesthouse_tests::guest::Guest;
use guesthouse_tests::serial::SerialLog;

/// A machine of generation 2 with `mebibytes` of memory and `processors`, and nothing in it.
fn machine(mebibytes: u64, processors: u32) -> Definition {
    let mut definition = Definition::new(Name::new("test").unwrap());
    definition.generation = Generation::Two;
    definition.memory.mebibytes = mebibytes;
    definition.processor.count = processors;
    definition
}

#[test]
#[ignore = "boots a whole operating system: make test-guests"]
fn uefi_comes_to_its_shell() {
    let serial = SerialLog::default();
    let guest = Guest::start_with(machine(256, 1), serial.options(), |_| {});
    guest.wait_until("the shell", 180, |_| serial.text().contains("Shell>"));
    guest.keep_screen("shell");
    let picture = guest.picture();
    assert_eq!((picture.width, picture.height), (1280, 800));
    guest.type_text("pci\n");
    guest.wait_until("what pci says", 60, |_| {
        serial.text().contains("Serial ATA controller")
    });
    guest.keep_screen("pci");
    guest.type_text("reset -s\n");
    guest.wait_for_state(60, |state| !state.is_alive());
}
