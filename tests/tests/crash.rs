//! Two machines at once: when one breaks, the other does not notice.

use guesthouse_engine::definition::ImageFormat;
use guesthouse_engine::disk;
use guesthouse_engine::machine::{Machine, MachineEvent, StartOptions, State};
use guesthouse_tests::guest::Guest;
use guesthouse_tests::image::{Written, assert_sound};
use guesthouse_tests::media::{el_torito, program};

const FIRMWARE: u64 = 90;
const COUNT: u16 = 32;
const STRIDE: u32 = 128;

#[test]
fn a_machine_that_breaks_leaves_the_others_and_its_own_disk_alone() {
    let neighbour = Guest::boot(&el_torito("ECHO", &program::echo("neighbour: ")));
    let broken = Guest::writer(COUNT, STRIDE);
    let image = broken.folder().join("disk.qcow2");
    let events = broken.machine.subscribe();
    assert_eq!(
        events.recv(),
        Ok(MachineEvent::State(State::Running)),
        "those who begin to watch are told what it is doing"
    );
    neighbour.wait_for("neighbour:", FIRMWARE);
    broken.wait_for("writing", FIRMWARE);
    neighbour.type_text("before ");
    assert!(
        disk::open_disk(&image, ImageFormat::Qcow2, false).is_err(),
        "the image is locked while the machine runs"
    );

    broken.machine.panic_processor().unwrap();
    let state = broken.wait_for_state(30, |state| !state.is_alive());
    let State::Crashed { reason } = &state else {
        panic!("{state:?}");
    };
    assert!(
        reason.contains("A fault in Guesthouse") && reason.contains("a fault was injected"),
        "{reason}"
    );
    assert!(
        events
            .try_iter()
            .any(|event| event == MachineEvent::State(state.clone())),
        "those who watch are told"
    );
    assert!(
        broken
            .machine
            .log()
            .iter()
            .any(|line| line.contains(reason)),
        "the log says it too"
    );
    assert!(
        broken.machine.pause().is_err() && broken.machine.reset().is_err(),
        "a machine that crashed takes no commands"
    );

    assert_eq!(neighbour.machine.state(), State::Running);
    neighbour.type_text("and after");
    neighbour.wait_for("neighbour: before and after", 30);

    assert_sound(&image);
    Written::read(&image, COUNT, STRIDE).assert_in_order();
    drop(disk::open_disk(&image, ImageFormat::Qcow2, false).expect("the image is unlocked"));
    let again =
        Machine::start(&broken.definition, broken.folder(), StartOptions::default()).unwrap();
    assert_eq!(again.state(), State::Running);
    again.power_off().unwrap();
    neighbour.machine.power_off().unwrap();
}
