//! The command line, from making a machine to deleting it, without a display.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::fs;

use common::{FIRMWARE, Home};
use guesthouse_tests::image::{Written, assert_sound};
use guesthouse_tests::media::{el_torito, program};

/// Width and height of a PNG file, from its header; its end must be there too.
fn png_size(bytes: &[u8]) -> (u64, u64) {
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"));
    let number = |at: usize| u64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
    (number(16), number(20))
}

#[test]
fn a_machine_is_made_worked_and_deleted() {
    let home = Home::new();
    let first = home.write("first.iso", &el_torito("FIRST", &program::echo("first: ")));
    let second = home.write(
        "second.iso",
        &el_torito("SECOND", &program::echo("second: ")),
    );
    let first = first.to_str().unwrap();
    assert!(home.succeed(&["list"]).contains("no machines yet"));
    home.create("t", &["--iso", first, "--disk", "1G"]);
    let list = home.json(&["list", "--json"]);
    assert_eq!(list[0]["name"], "t");
    assert_eq!(list[0]["state"], "off");
    let shown = home.succeed(&["show", "t"]);
    for part in [
        "State: off",
        "Memory: 64 MiB",
        "Hard disk: disk.qcow2",
        first,
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }

    home.succeed(&["start", "t"]);
    let process = home.json(&["list", "--json"])[0]["process"].as_u64();
    let again = home.fail(&["start", "t"]);
    assert!(
        again.contains("runs already") && again.contains(&process.unwrap().to_string()),
        "{again}"
    );
    let kept = home.fail(&["delete", "t"]);
    assert!(kept.contains("running; power it off first"), "{kept}");

    home.wait_for("t", "first:", FIRMWARE);
    home.succeed(&["type", "t", "Key 7!"]);
    home.wait_for("t", "first: Key 7!", 20);
    home.succeed(&["keys", "t", "shift-a", "b"]);
    home.wait_for("t", "first: Key 7!Ab", 20);
    let unknown = home.fail(&["keys", "t", "hyper-a"]);
    assert!(unknown.contains("hyper"), "{unknown}");
    let picture = home.path("screen.png");
    home.succeed(&["screenshot", "t", picture.to_str().unwrap()]);
    let screen = home.json(&["show", "t", "--json"])["screen"].clone();
    assert_eq!(
        png_size(&fs::read(&picture).unwrap()),
        (
            screen["width"].as_u64().unwrap(),
            screen["height"].as_u64().unwrap()
        )
    );
    let neither = home.fail(&["screenshot", "t", "screen.jpg"]);
    assert!(neither.contains(".png") && !home.path("screen.jpg").exists());

    home.succeed(&["pause", "t"]);
    assert_eq!(home.state("t")["state"], "paused");
    home.succeed(&["type", "t", "z"]);
    assert!(!home.screen("t").contains("Abz"));
    home.succeed(&["resume", "t"]);
    assert_eq!(home.state("t")["state"], "running");
    home.wait_for("t", "Abz", 20);

    let missing = home.fail(&["insert", "t", "none.iso"]);
    assert!(missing.contains("none.iso"), "{missing}");
    let no_drive = home.fail(&["eject", "t", "--drive", "2"]);
    assert!(no_drive.contains("no optical drive number 2"), "{no_drive}");
    home.succeed(&["eject", "t"]);
    home.succeed(&["insert", "t", second.to_str().unwrap()]);
    home.succeed(&["reset", "t"]);
    home.wait_for("t", "second:", FIRMWARE);

    home.succeed(&["poweroff", "t"]);
    assert_eq!(home.state("t")["state"], "off");
    let off = home.fail(&["reset", "t"]);
    assert!(off.contains("t is not running; start it with"), "{off}");
    assert_sound(&home.machine("t").join("disk.qcow2"));
    let definition = fs::read_to_string(home.machine("t").join("machine.toml")).unwrap();
    assert!(
        definition.contains("first.iso"),
        "media changed while it runs are the session's, not the machine's: {definition}"
    );

    home.succeed(&["delete", "t"]);
    assert_eq!(home.json(&["list", "--json"]).as_array().unwrap().len(), 0);
    assert!(!home.machine("t").exists());
    let trashed = home.path("data/Trash/files/t");
    assert!(
        trashed.join("machine.toml").exists() && trashed.join("disk.qcow2").exists(),
        "the machine is in the trash"
    );
    assert!(home.path("first.iso").exists(), "media stay where they are");
}

#[test]
fn a_machine_in_the_foreground_has_one_holder_and_ends_in_order() {
    const COUNT: u16 = 32;
    let home = Home::new();
    let medium = el_torito("WRITER", &program::write_sectors(COUNT, 128));
    let medium = home.write("writer.iso", &medium);
    home.create("w", &["--iso", medium.to_str().unwrap(), "--disk", "64M"]);
    let mut run = home.run("w");
    home.wait_for_state("w", "running", 30);
    let holder = run.id();
    assert_eq!(home.json(&["show", "w", "--json"])["process"], holder);
    let refused = home.fail(&["run", "w"]);
    assert!(
        refused.contains(&format!("in use by process {holder}")),
        "{refused}"
    );
    home.wait_for("w", "writing", FIRMWARE);

    let terminated = std::process::Command::new("kill")
        .arg(holder.to_string())
        .status()
        .unwrap();
    assert!(terminated.success());
    let status = run.wait(30);
    assert_eq!(status.code(), Some(0), "{}", run.said());
    assert_eq!(home.state("w")["state"], "off");
    let log = fs::read_to_string(home.machine("w").join("machine.log")).unwrap();
    assert!(
        log.trim_end().ends_with("The machine is off."),
        "the end was in order: {log}"
    );
    assert_eq!(
        fs::read_dir(home.path("run/guesthouse")).unwrap().count(),
        0,
        "no socket stays behind"
    );
    let image = home.machine("w").join("disk.qcow2");
    assert_sound(&image);
    Written::read(&image, COUNT, 128).assert_in_order();
}

#[test]
fn a_wrong_command_line_is_told_apart_from_a_failure() {
    let home = Home::new();
    for wrong in [
        vec!["fly"],
        vec!["create"],
        vec!["keys", "t"],
        vec!["screenshot", "t"],
        vec!["eject", "t", "--drive", "0"],
        vec!["create", "t", "--generation", "9"],
    ] {
        let output = home.command(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let said = common::said(&output);
        assert!(said.contains("guesthouse: "), "{wrong:?}: {said}");
        assert!(
            said.contains("More is told by --help."),
            "{wrong:?}: {said}"
        );
    }
    for (failing, parts) in [
        (vec!["show", "nobody"], vec!["nobody", "guesthouse list"]),
        (
            vec!["create", "t", "--iso", "no.iso"],
            vec!["no.iso", "could not be opened"],
        ),
        (vec!["create", "t", "--disk", "huge"], vec!["huge", "20G"]),
        (vec!["create", "a/b"], vec!["/"]),
        (vec!["create", "t", "--memory", "1K"], vec!["1M"]),
    ] {
        let said = home.fail(&failing);
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
    assert_eq!(
        home.json(&["list", "--json"]).as_array().unwrap().len(),
        0,
        "nothing was left behind"
    );
    home.create("t", &["--disk", "none"]);
    let taken = home.fail(&["create", "T"]);
    assert!(taken.contains("exists already"), "{taken}");
    for command in ["pause", "resume", "reset", "shutdown", "poweroff"] {
        let said = home.fail(&[command, "t"]);
        assert!(said.contains("guesthouse start"), "{said}");
    }
}
