//! The host's disk fills while a guest writes: the machine pauses and says so, and goes on without loss once there is room.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use common::{FIRMWARE, Home, Running};
use guesthouse_tests::image::{Written, assert_sound, wait_for_writes};
use guesthouse_tests::media::{el_torito, program};

/// The guest fills 24 clusters of 64 KiB, more than either limit here.
const COUNT: u16 = 24;
const STRIDE: u32 = 128;

fn home() -> Home {
    let home = Home::new();
    let medium = el_torito("WRITER", &program::write_sectors(COUNT, STRIDE));
    let medium = home.write("medium.iso", &medium);
    home.create("t", &["--iso", medium.to_str().unwrap(), "--disk", "64M"]);
    home
}

/// Waits for the pause, tries to go on without room, makes room, and lets the guest come to all its
/// sectors. `image` is what the machine calls the image, `file` where this test finds it.
fn pauses_and_goes_on(home: &Home, image: &str, file: &Path, make_room: impl FnOnce()) {
    let state = home.wait_for_state("t", "paused", FIRMWARE);
    assert_eq!(state["reason"]["cause"], "no-space");
    let reason = state["reason"]["text"].as_str().unwrap_or_default();
    for part in [image, "no space is left", "make room there, then resume"] {
        assert!(reason.contains(part), "{part:?} is not in {reason}");
    }
    let shown = home.succeed(&["show", "t"]);
    assert!(
        shown.contains("State: paused") && shown.contains(reason),
        "{shown}"
    );
    let screen = home.screen("t");
    assert!(
        screen.contains("writing") && !screen.contains("writing failed"),
        "the guest does not notice: {screen}"
    );

    // Resumed too early, it pauses again with the same reason.
    home.succeed(&["resume", "t"]);
    let again = home.wait_for_state("t", "paused", FIRMWARE);
    assert_eq!(again["reason"], state["reason"]);

    make_room();
    let since = SystemTime::now();
    home.succeed(&["resume", "t"]);
    wait_for_writes(
        file,
        since,
        u64::from(COUNT) * u64::from(STRIDE) * 512,
        FIRMWARE,
    );
    assert_eq!(home.state("t")["state"], "running");
}

/// Every sector was written, and none before its turn.
fn assert_all_written(image: &Path) {
    assert_sound(image);
    let written = Written::read(image, COUNT, STRIDE);
    written.assert_in_order();
    assert!(written.passes.last() > Some(&0), "{:?}", written.passes);
}

#[test]
fn a_limit_for_one_file_pauses_the_machine() {
    let home = home();
    // The signal that a write beyond the limit raises is not ignored here: the program must stand it.
    let mut command = Command::new("prlimit");
    command
        .arg("--fsize=1048576:unlimited")
        .arg(env!("CARGO_BIN_EXE_guesthouse"))
        .args(["run", "t"]);
    let mut running = Running::start(home.within(command));
    home.wait_for_state("t", "running", 30);
    let process = running.id().to_string();
    let image = home.machine("t").join("disk.qcow2");
    pauses_and_goes_on(&home, "disk.qcow2", &image, || {
        let raised = Command::new("prlimit")
            .args(["--pid", &process, "--fsize=unlimited"])
            .status()
            .unwrap();
        assert!(raised.success());
    });
    home.succeed(&["poweroff", "t"]);
    assert!(running.wait(30).success(), "{}", running.said());
    assert!(
        running.said().contains("paused: "),
        "whoever ran it is told: {}",
        running.said()
    );
    assert_all_written(&image);
}

#[test]
fn a_full_file_system_pauses_the_machine() {
    let home = home();
    let image = home.machine("t").join("disk.qcow2");
    let aside = home.path("aside.qcow2");
    fs::copy(&image, &aside).unwrap();
    // The image is on a file system of 4 MiB, all but 32 KiB of it taken, which the machine's process alone sees.
    let place = home.path("place");
    fs::create_dir(&place).unwrap();
    let script = "mount -t tmpfs -o size=4m none \"$1\" && cp \"$2\" \"$1/disk.qcow2\" || exit 77
        head -c 4194304 /dev/zero >\"$1/filler\" 2>/dev/null
        truncate -s -32768 \"$1/filler\" && exec \"$0\" run t";
    let command = home.namespace(script, &[&place, &aside]);
    let definition = home.machine("t").join("machine.toml");
    let text = fs::read_to_string(&definition).unwrap();
    let inside = place.join("disk.qcow2");
    let moved = text.replace(
        "file = \"disk.qcow2\"",
        &format!("file = {:?}", inside.to_str().unwrap()),
    );
    assert_ne!(text, moved);
    fs::write(&definition, moved).unwrap();
    let mut running = Running::start(command);
    home.wait_for_state("t", "running", 30);
    let seen = std::path::PathBuf::from(format!("/proc/{}/root", running.id()))
        .join(place.strip_prefix("/").unwrap());
    let file = seen.join("disk.qcow2");
    pauses_and_goes_on(&home, inside.to_str().unwrap(), &file, || {
        fs::remove_file(seen.join("filler")).unwrap();
    });
    // Still open, so that it can be read after the end.
    let kept = fs::File::open(&file).unwrap();
    home.succeed(&["poweroff", "t"]);
    assert!(running.wait(30).success(), "{}", running.said());
    let copy = home.path("copy.qcow2");
    std::io::copy(&mut &kept, &mut fs::File::create(&copy).unwrap()).unwrap();
    assert_all_written(&copy);
}
