//! Disk images by the command line, with qemu-img as the judge.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Home;

fn qemu_img(home: &Home, arguments: &[&str]) -> bool {
    home.within({
        let mut command = Command::new("qemu-img");
        command.args(arguments);
        command
    })
    .output()
    .unwrap()
    .status
    .success()
}

fn qemu_io(home: &Home, file: &str, commands: &[&str]) {
    let mut command = Command::new("qemu-io");
    for one in commands {
        command.args(["-c", one]);
    }
    command.args(["-f", "qcow2", file]);
    let output = home.within(command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !said.contains("failed"),
        "{said}"
    );
}

#[test]
fn a_disk_from_its_making_to_its_conversion() {
    let home = Home::new();
    home.succeed(&["disk", "create", "a.qcow2", "64M"]);
    qemu_io(
        &home,
        "a.qcow2",
        &["write -P 1 0 1M", "write -P 2 60M 1M", "write -P 0 20M 20M"],
    );
    let about = home.json(&["disk", "info", "a.qcow2", "--json"]);
    assert_eq!(about["format"], "qcow2");
    assert_eq!(about["virtual_size"], 64 << 20);
    assert_eq!(about["qcow2"]["cluster_size"], 65536);
    home.succeed(&["disk", "check", "a.qcow2"]);
    let refused = home.fail(&["disk", "resize", "a.qcow2", "32M"]);
    assert!(
        refused.contains("would be lost") && refused.contains("--force"),
        "{refused}"
    );
    home.succeed(&["disk", "resize", "a.qcow2", "+64M"]);
    home.succeed(&["disk", "compact", "a.qcow2"]);
    assert!(fs::metadata(home.path("a.qcow2")).unwrap().len() < 4 << 20);
    home.succeed(&["disk", "create", "top.qcow2", "--base", "a.qcow2"]);
    qemu_io(&home, "top.qcow2", &["write -P 3 30M 1M"]);
    let about = home.json(&["disk", "info", "top.qcow2", "--json"]);
    assert_eq!(about["virtual_size"], 128 << 20);
    assert!(
        about["chain"][0]["file"]
            .as_str()
            .unwrap()
            .ends_with("a.qcow2")
    );
    for (target, format) in [("b.raw", "raw"), ("b.vmdk", "vmdk"), ("b.qcow2", "qcow2")] {
        home.succeed(&["disk", "convert", "top.qcow2", target, "--verify"]);
        assert!(
            qemu_img(
                &home,
                &["compare", "-F", format, "-f", "qcow2", "top.qcow2", target]
            ),
            "{target}"
        );
        home.succeed(&["disk", "compare", "top.qcow2", target]);
    }
    let refused = home.fail(&["disk", "convert", "top.qcow2", "b.raw"]);
    assert!(refused.contains("exists already"), "{refused}");
    fs::write(home.path("b.raw"), "old").unwrap();
    home.succeed(&["disk", "convert", "top.qcow2", "b.raw", "--replace"]);
    home.succeed(&["disk", "compare", "top.qcow2", "b.raw"]);
    // Neither itself nor what it is based on.
    for target in ["top.qcow2", "a.qcow2"] {
        let before = fs::read(home.path(target)).unwrap();
        home.fail(&["disk", "convert", "top.qcow2", target, "--replace"]);
        assert!(fs::read(home.path(target)).unwrap() == before, "{target}");
    }
    home.succeed(&["disk", "clone", "b.raw", "c.raw"]);
    home.succeed(&["disk", "rebase", "top.qcow2", "--flatten"]);
    fs::rename(home.path("a.qcow2"), home.path("away")).unwrap();
    home.succeed(&["disk", "compare", "top.qcow2", "c.raw"]);
    assert!(qemu_img(&home, &["check", "top.qcow2"]));
}

#[test]
fn differences_go_into_the_backing_file() {
    let home = Home::new();
    home.succeed(&["disk", "create", "base.raw", "8M"]);
    home.succeed(&[
        "disk",
        "create",
        "top.qcow2",
        "--base",
        "base.raw",
        "--base-format",
        "raw",
    ]);
    qemu_io(&home, "top.qcow2", &["write -P 3 1M 1M"]);
    home.succeed(&["disk", "commit", "top.qcow2", "--remove"]);
    assert!(!home.path("top.qcow2").exists());
    let base = fs::read(home.path("base.raw")).unwrap();
    assert_eq!(
        (base[(1 << 20) - 1], base[1 << 20], base[(2 << 20) - 1]),
        (0, 3, 3)
    );
}

#[test]
fn a_damaged_image_is_explained_and_mended() {
    let home = Home::new();
    home.succeed(&["disk", "create", "a.qcow2", "64M"]);
    qemu_io(&home, "a.qcow2", &["write -P 1 0 1M"]);
    let mut bytes = fs::read(home.path("a.qcow2")).unwrap();
    let table = usize::try_from(u64::from_be_bytes(*bytes[48..].first_chunk().unwrap())).unwrap();
    bytes[table..table + 8].fill(0);
    fs::write(home.path("a.qcow2"), &bytes).unwrap();
    let said = home.fail(&["disk", "check", "a.qcow2"]);
    assert!(
        said.contains("damaged in") && said.contains("repair --damage"),
        "{said}"
    );
    let said = home.fail(&["disk", "repair", "a.qcow2"]);
    assert!(said.contains("--damage"), "{said}");
    assert_eq!(fs::read(home.path("a.qcow2")).unwrap(), bytes);
    let said = home.succeed(&["disk", "repair", "a.qcow2", "--damage"]);
    assert!(
        said.contains("a.qcow2.tables-1") && said.contains("is mended"),
        "{said}"
    );
    home.succeed(&["disk", "check", "a.qcow2"]);
    assert!(qemu_img(&home, &["check", "a.qcow2"]));
    qemu_io(&home, "a.qcow2", &["read -P 1 0 1M"]);
}

#[test]
fn what_is_refused_says_why() {
    let home = Home::new();
    home.succeed(&["disk", "create", "a.qcow2", "64M"]);
    for (arguments, parts) in [
        (
            &["disk", "info", "missing"][..],
            &["missing does not exist", "choose another"][..],
        ),
        (
            &["disk", "create", "a.qcow2", "64M"],
            &["a.qcow2 exists already"],
        ),
        (&["disk", "create", "b.qcow2", "100K"], &["1 MiB to 64 TiB"]),
        (
            &["disk", "info", "a.qcow2", "--format", "zip"],
            &["not a format", "vhdx"],
        ),
        (
            &["disk", "info", "a.qcow2", "--format", "vhdx"],
            &["not a VHDX image"],
        ),
        (
            &["disk", "check", "a.qcow2", "--format", "vdi"],
            &["no check"],
        ),
        (
            &["disk", "convert", "a.qcow2", "b.raw", "--compress"],
            &["only qcow2"],
        ),
        (
            &["disk", "create", "no/such/folder.qcow2", "64M"],
            &["folder.qcow2", "folder exists"],
        ),
    ] {
        let said = home.fail(arguments);
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
    }
    assert!(!Path::new(&home.path("b.raw")).exists());
}
