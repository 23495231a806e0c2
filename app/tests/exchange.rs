//! Machines and disks that come from elsewhere and go there, from the command line; QEMU's tools make and read the disks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Home;

fn qemu_img(arguments: &[&str]) -> bool {
    let done = Command::new("qemu-img").args(arguments).status().unwrap();
    done.success()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn same(one: &Path, other: &Path) -> bool {
    qemu_img(&["compare", "-q", text(one), text(other)])
}

/// A VHDX of 64 MiB with something on it.
fn old_disk(home: &Home) -> PathBuf {
    let raw = home.path("raw.img");
    let mut content = vec![0; 64 << 20];
    content[1 << 20..2 << 20].fill(7);
    fs::write(&raw, content).unwrap();
    let old = home.path("old server.vhdx");
    assert!(qemu_img(&["convert", "-O", "vhdx", text(&raw), text(&old)]));
    old
}

/// What the first disk of a machine is now.
fn disk(home: &Home, name: &str) -> PathBuf {
    let machine = home.json(&["show", name, "--json"]);
    let file = machine["definition"]["drive"][0]["file"].as_str().unwrap();
    Path::new(machine["folder"].as_str().unwrap()).join(file)
}

#[test]
fn a_disk_comes_in_a_machine_goes_out_and_comes_back() {
    let home = Home::new();
    let old = old_disk(&home);
    home.succeed(&["import", text(&old)]);
    assert!(same(&disk(&home, "old server"), &old));
    home.succeed(&["create", "copy", "--disk", text(&old), "--copy-disk"]);
    assert!(same(&disk(&home, "copy"), &old));
    let said = home.fail(&["create", "no", "--disk", text(&old)]);
    assert!(said.contains("--copy-disk"), "{said}");

    for file in ["a.ova", "a.qcow2", "a.raw", "a.vmdk"] {
        let file = home.path(file);
        home.succeed(&["export", "old server", text(&file)]);
        let said = home.fail(&["export", "old server", text(&file)]);
        assert!(said.contains("exists already"), "{said}");
        if file.extension().unwrap() != "ova" {
            assert!(same(&file, &old));
        }
    }
    let taken = home.write("taken.qcow2", b"something");
    home.succeed(&["export", "old server", text(&taken), "--replace"]);
    assert!(same(&taken, &old));
    let shown = home.json(&["show", "old server", "--json"]);
    let own = Path::new(shown["folder"].as_str().unwrap()).join("machine.toml");
    let kept = fs::read(&own).unwrap();
    let linked = home.path("linked.raw");
    std::os::unix::fs::symlink(&own, &linked).unwrap();
    home.fail(&["export", "old server", text(&linked), "--replace"]);
    assert_eq!(fs::read(&own).unwrap(), kept);
    let said = home.fail(&["export", "old server", "a.txt"]);
    assert!(said.contains(".ova"), "{said}");
    let said = home.fail(&["export", "old server", "b.raw", "--disk", "2"]);
    assert!(said.contains("no hard disk 2"), "{said}");
    let ova = home.path("a.ova");
    let said = home.fail(&["import", text(&ova)]);
    assert!(said.contains("exists already"), "{said}");
    home.succeed(&["import", text(&ova), "--name", "again"]);
    assert!(same(&disk(&home, "again"), &old));
    let said = home.fail(&["import", text(&home.path("nothing.vdi"))]);
    assert!(said.contains("could not be opened"), "{said}");
}

#[test]
fn a_backup_brings_the_machine_back() {
    let home = Home::new();
    let old = old_disk(&home);
    home.succeed(&["import", text(&old), "--name", "box"]);
    home.succeed(&["snapshot", "create", "box", "First"]);
    let backup = home.path("box.tar.zst");
    home.succeed(&["backup", "box", text(&backup)]);
    let said = home.fail(&["backup", "box", text(&backup)]);
    assert!(said.contains("exists already"), "{said}");
    home.succeed(&["backup", "box", text(&backup), "--replace"]);
    let uuid = |name: &str| home.json(&["show", name, "--json"])["definition"]["uuid"].clone();
    let first = uuid("box");
    let said = home.fail(&["restore", text(&backup)]);
    assert!(said.contains("exists already"), "{said}");
    let said = home.fail(&["restore", text(&backup), "--name", "other"]);
    assert!(said.contains("a new identity"), "{said}");
    home.succeed(&[
        "restore",
        text(&backup),
        "--name",
        "other",
        "--new-identity",
    ]);
    assert_ne!(uuid("other"), first);
    assert!(same(&disk(&home, "other"), &old));
    home.succeed(&["snapshot", "revert", "other", "First"]);
    fs::remove_dir_all(home.machine("box")).unwrap();
    home.succeed(&["restore", text(&backup)]);
    assert_eq!(uuid("box"), first);
    assert!(same(&disk(&home, "box"), &old));
    let said = home.fail(&["restore", text(&old), "--name", "x"]);
    assert!(said.contains("not a backup"), "{said}");
}

#[test]
fn an_import_and_a_restore_onto_a_full_disk_leave_nothing_and_say_so() {
    let home = Home::new();
    let old = old_disk(&home);
    // What does not compress and is no hole.
    let noise: Vec<u8> = (0..16_u64 << 17)
        .flat_map(|number| {
            number
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
                .to_le_bytes()
        })
        .collect();
    let disk = home.write("noise.img", &noise);
    home.succeed(&["import", text(&disk), "--name", "noise"]);
    let backup = home.path("noise.tar.zst");
    home.succeed(&["backup", "noise", text(&backup)]);
    let folder = home.path("small");
    fs::create_dir(&folder).unwrap();
    let script = r#"mount -t tmpfs -o size=8M none "$1" || exit 77
        "$0" --machines "$1" import "$2"; echo "code $?"
        "$0" --machines "$1" restore "$3"; echo "code $?"
        find "$1" -mindepth 1 ! -name .lock; echo end
        "$0" --machines "$1" import "$4" && echo fits
        "$0" --machines "$1" backup "old server" "$1/b" && echo stored
        "$0" --machines "$1" export "old server" "$1/c.raw""#;
    let output = home
        .namespace(
            script,
            &[text(&folder), text(&disk), text(&backup), text(&old)],
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        eprintln!("skipped, since nothing may be mounted here: {errors}");
        return;
    }
    assert!(
        said.starts_with("code 1\ncode 1\nend\n"),
        "{said}\n{errors}"
    );
    assert!(
        said.contains("fits") && said.contains("stored"),
        "{said}\n{errors}"
    );
    assert_eq!(errors.matches("no space is left").count(), 2, "{errors}");
    assert!(!errors.contains(".unfinished"), "{errors}");
}
