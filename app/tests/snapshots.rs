//! Snapshots, copies and changes from the command line, on a disk that QEMU's tools write and read.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Home;

fn qemu_io(disk: &Path, command: &str) -> String {
    let output = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", command])
        .arg(disk)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn write(disk: &Path, pattern: u8) {
    qemu_io(disk, &format!("write -P {pattern} 0 64k"));
}

fn holds(disk: &Path, pattern: u8) -> bool {
    !qemu_io(disk, &format!("read -P {pattern} 0 64k")).contains("failed")
}

/// What the first disk of a machine is now.
fn disk(home: &Home, name: &str) -> PathBuf {
    let machine = home.json(&["show", name, "--json"]);
    let file = machine["definition"]["drive"][0]["file"].as_str().unwrap();
    Path::new(machine["folder"].as_str().unwrap()).join(file)
}

#[test]
fn snapshots_are_taken_listed_gone_back_to_and_deleted() {
    let home = Home::new();
    home.create("box", &["--disk", "64M"]);
    let original = disk(&home, "box");
    write(&original, 1);
    assert!(
        home.succeed(&["snapshot", "list", "box"])
            .contains("no snapshots")
    );
    home.succeed(&["snapshot", "create", "box", "First", "--notes", "fresh"]);
    write(&disk(&home, "box"), 2);
    let second = home.json(&["--json", "snapshot", "create", "box", "Second"]);
    write(&disk(&home, "box"), 3);
    let list = home.json(&["--json", "snapshot", "list", "box"]);
    assert_eq!(list[0]["name"], "First");
    assert_eq!(list[0]["notes"], "fresh");
    assert_eq!(list[1]["parent"], list[0]["id"]);
    assert_eq!(list[1]["id"], second["id"]);
    assert_eq!(list[1]["current"], true);
    let text = home.succeed(&["snapshot", "list", "box"]);
    assert!(text.contains("*   Second"), "{text}");

    home.succeed(&["snapshot", "rename", "box", "First", "Fresh"]);
    home.succeed(&["snapshot", "revert", "box", "Fresh"]);
    assert!(holds(&disk(&home, "box"), 1));
    home.succeed(&["snapshot", "branch", "box", "Second", "twin"]);
    assert!(holds(&disk(&home, "twin"), 2));
    let said = home.fail(&["snapshot", "delete", "box", "Second"]);
    assert!(said.contains("twin is built on"), "{said}");
    let said = home.fail(&["snapshot", "revert", "box", "Third"]);
    assert!(said.contains("snapshot list"), "{said}");
    home.succeed(&["delete", "twin"]);

    // By the beginning of its identifier.
    let id = second["id"].as_str().unwrap();
    home.succeed(&["snapshot", "delete", "box", &id[..8]]);
    write(&disk(&home, "box"), 4);
    home.succeed(&["snapshot", "delete", "box", "Fresh"]);
    assert_eq!(disk(&home, "box"), original);
    assert!(holds(&original, 4));
    assert_eq!(
        home.json(&["--json", "snapshot", "list", "box"])[0],
        serde_json::Value::Null
    );
}

#[test]
fn a_changed_base_is_explained_and_not_started() {
    let home = Home::new();
    home.create("box", &["--disk", "64M"]);
    let base = disk(&home, "box");
    home.succeed(&["snapshot", "create", "box", "First"]);
    write(&base, 9);
    for command in [
        &["run", "box"][..],
        &["snapshot", "create", "box", "Second"],
        &["snapshot", "revert", "box", "First"],
    ] {
        let said = home.fail(command);
        assert!(
            said.contains("disk.qcow2") && said.contains("was changed after the snapshot"),
            "{said}"
        );
    }
    home.succeed(&["snapshot", "accept", "box"]);
    home.succeed(&["snapshot", "create", "box", "Second"]);
}

#[test]
fn machines_are_copied_renamed_and_changed() {
    let home = Home::new();
    home.create("box", &["--disk", "64M"]);
    write(&disk(&home, "box"), 1);
    home.succeed(&["clone", "box", "full"]);
    home.succeed(&["clone", "--linked", "box", "linked"]);
    for copy in ["full", "linked"] {
        assert!(holds(&disk(&home, copy), 1), "{copy}");
        write(&disk(&home, copy), 2);
    }
    assert!(holds(&disk(&home, "box"), 1));
    home.fail(&["clone", "box", "full"]);
    let said = home.fail(&["delete", "box"]);
    assert!(said.contains("linked uses"), "{said}");

    home.succeed(&["rename", "full", "whole"]);
    home.fail(&["rename", "whole", "box"]);
    home.succeed(&["set", "whole", "memory=96M", "boot=2,1", "clock=local"]);
    let whole = home.json(&["show", "whole", "--json"]);
    assert_eq!(whole["definition"]["memory"]["mebibytes"], 96);
    assert_eq!(whole["definition"]["drive"][1]["boot"], 1);
    assert_eq!(whole["definition"]["clock"], "local");
    for wrong in ["memory=lots", "colour=blue", "memory", "cpus=100000"] {
        home.fail(&["set", "whole", wrong]);
    }
    let after = home.json(&["show", "whole", "--json"]);
    assert_eq!(after["definition"], whole["definition"]);
}
