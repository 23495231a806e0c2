//! What a person meets when something is missing, locked, broken or full: each message names the file, the cause and the remedy,
//! and nothing is lost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Home, Running, contents, failure};
use guesthouse_tests::media::{el_torito, program};

/// Runs `command`, which must fail, say all of `parts`, and leave all of `files` as they are.
fn refused(command: &mut Command, parts: &[&str], files: &[&Path]) {
    let before = contents(files);
    let said = failure(command);
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(before == contents(files), "a file changed; it said: {said}");
}

/// A home with a machine "t" that has a medium and a disk, and the paths of its definition, its medium and its image.
fn home() -> (Home, [std::path::PathBuf; 3]) {
    let home = Home::new();
    let medium = home.write("medium.iso", &el_torito("ECHO", &program::echo("hello ")));
    home.create("t", &["--iso", medium.to_str().unwrap(), "--disk", "64M"]);
    let folder = home.machine("t");
    let files = [
        folder.join("machine.toml"),
        medium,
        folder.join("disk.qcow2"),
    ];
    (home, files)
}

/// `command` by somebody whom permissions bind: the superuser gives up what exempts it from them.
fn bound(home: &Home, arguments: &[&str]) -> Command {
    if !rustix::process::geteuid().is_root() {
        return home.command(arguments);
    }
    let mut command = Command::new("setpriv");
    command
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(env!("CARGO_BIN_EXE_guesthouse"))
        .args(arguments);
    home.within(command)
}

fn forbid(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

fn allow(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_host_without_usable_kvm_is_explained() {
    let (home, [definition, medium, image]) = home();
    let files: [&Path; 3] = [&definition, &medium, &image];
    let forbidden = home.write("forbidden", b"");
    forbid(&forbidden);
    let plain = home.write("plain", b"");
    for (device, parts) in [
        (
            Path::new("/nonexistent/kvm"),
            ["/nonexistent/kvm is missing", "virtualiz"],
        ),
        (
            forbidden.as_path(),
            ["no permission to open", "usermod -aG kvm"],
        ),
        (plain.as_path(), ["is not KVM", "Check what"]),
        (Path::new("/dev/null"), ["is not KVM", "Check what"]),
    ] {
        for arguments in [["check-host"].as_slice(), &["run", "t"], &["start", "t"]] {
            let mut command = bound(&home, arguments);
            command.env("GUESTHOUSE_KVM_DEVICE", device);
            refused(&mut command, &[device.to_str().unwrap()], &files);
            refused(&mut command, &parts, &files);
        }
        let mut command = bound(&home, &["check-host", "--json"]);
        let output = command
            .env("GUESTHOUSE_KVM_DEVICE", device)
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["usable"], false);
        assert!(report["problem"]["remedy"].as_str().unwrap().len() > 10);
    }
    assert_eq!(home.state("t")["state"], "off");
}

#[test]
fn media_that_cannot_be_read_are_named() {
    let (home, [definition, medium, image]) = home();
    let name = medium.to_str().unwrap();
    let remedy = "choose another file for the optical drive, or empty it";
    let run = |parts: &[&str]| {
        refused(
            &mut bound(&home, &["run", "t"]),
            parts,
            &[&definition, &image],
        )
    };

    forbid(&medium);
    run(&[name, "ermission denied", remedy]);
    let mut command = bound(&home, &["create", "u", "--iso", name]);
    refused(&mut command, &[name, "ermission denied"], &[&definition]);
    allow(&medium);

    fs::remove_file(&medium).unwrap();
    run(&[name, "No such file", remedy]);
    fs::create_dir(&medium).unwrap();
    run(&[name, "not a file or a disk; choose"]);
    let mut command = home.command(&["create", "u", "--iso", name]);
    refused(&mut command, &[name], &[&definition]);
    fs::remove_dir(&medium).unwrap();
    fs::write(&medium, b"").unwrap();
    run(&[name, "empty; choose another image"]);
    assert!(!home.machine("u").exists(), "nothing was made");
}

#[test]
fn an_image_of_another_running_machine_is_refused() {
    let (home, [definition, _, image]) = home();
    let taken = home.fail(&["create", "u", "--disk", image.to_str().unwrap()]);
    assert!(
        taken.contains("belongs to t; two machines cannot share a disk"),
        "{taken}"
    );
    // Whoever edits the definition by hand meets the lock on the image.
    home.create("u", &["--disk", "none"]);
    let other = home.machine("u").join("machine.toml");
    let mut text = fs::read_to_string(&other).unwrap();
    text.push_str(&format!(
        "\n[[drive]]\nkind = \"disk\"\nfile = {:?}\nformat = \"qcow2\"\n",
        image.to_str().unwrap()
    ));
    fs::write(&other, text).unwrap();
    let _running = home.run("t");
    home.wait_for_state("t", "running", 30);
    refused(
        &mut home.command(&["run", "u"]),
        &[
            image.to_str().unwrap(),
            "in use by another machine",
            "shut that down",
        ],
        &[&definition, &other],
    );
    home.succeed(&["poweroff", "t"]);
    let mut second = home.run("u");
    home.wait_for_state("u", "running", 30);
    home.succeed(&["poweroff", "u"]);
    assert!(second.wait(30).success());
}

#[test]
fn images_that_are_not_what_the_definition_says_are_refused_untouched() {
    let (home, [definition, _, image]) = home();
    let name = image.to_str().unwrap();
    let sound = fs::read(&image).unwrap();
    let run = |parts: &[&str]| {
        let parts = [&[name], parts].concat();
        refused(
            &mut home.command(&["run", "t"]),
            &parts,
            &[&definition, &image],
        );
    };
    fs::write(&image, &sound[..sound.len() / 2]).unwrap();
    run(&[
        "damaged",
        "restore it from a backup",
        "guesthouse disk repair",
    ]);
    fs::write(&image, &sound[..60]).unwrap();
    run(&["damaged", "restore it from a backup"]);
    fs::write(&image, vec![0x55; 1 << 20]).unwrap();
    run(&["not a qcow2 image", "set the drive's format to raw"]);
    fs::write(&image, b"").unwrap();
    run(&["empty", "choose another image"]);
    fs::remove_file(&image).unwrap();
    refused(
        &mut home.command(&["run", "t"]),
        &[name, "does not exist", "put it back"],
        &[&definition],
    );
    fs::create_dir(&image).unwrap();
    refused(
        &mut home.command(&["run", "t"]),
        &[name, "choose an image file"],
        &[&definition],
    );
    fs::remove_dir(&image).unwrap();

    // The dirty and the corrupt bit of version 3 (incompatible features), and an encryption method.
    for (at, value, parts) in [
        (79, 1, ["guesthouse disk repair", ""]),
        (79, 2, ["guesthouse disk repair", ""]),
        (35, 1, ["is encrypted", "qemu-img convert -O qcow2"]),
    ] {
        let mut bytes = sound.clone();
        bytes[at] |= value;
        fs::write(&image, &bytes).unwrap();
        run(&parts);
    }
    fs::write(&image, &sound).unwrap();
    forbid(&image);
    let said = failure(&mut bound(&home, &["run", "t"]));
    assert!(
        said.contains(name) && said.contains("may not be written to; change its permissions"),
        "{said}"
    );
    allow(&image);
    let mut running = home.run("t");
    home.wait_for_state("t", "running", 30);
    home.succeed(&["poweroff", "t"]);
    assert!(running.wait(30).success(), "the sound image still runs");
}

#[test]
fn a_machine_that_is_too_large_is_refused() {
    let (home, [definition, medium, image]) = home();
    refused(
        &mut home.command(&["create", "u", "--disk", "none", "--memory", "64T"]),
        &["memory", "The host has", "give the machine less"],
        &[&definition],
    );
    let text = fs::read_to_string(&definition).unwrap();
    let large = text.replace("mebibytes = 64", "mebibytes = 67108864");
    assert_ne!(text, large);
    fs::write(&definition, large).unwrap();
    refused(
        &mut home.command(&["run", "t"]),
        &["memory", "The host has", "give the machine less"],
        &[&definition, &medium, &image],
    );
    fs::write(&definition, text.replace("count = 1", "count = 4000")).unwrap();
    refused(
        &mut home.command(&["start", "t"]),
        &["processor", "can have at most 254"],
        &[&definition, &medium, &image],
    );
}

#[test]
fn missing_firmware_is_named_with_its_package() {
    let (home, [definition, medium, image]) = home();
    let files: [&Path; 3] = [&definition, &medium, &image];
    // An empty folder over each that a distribution uses.
    let hide = "for folder in seabios seavgabios qemu; do
        for share in /usr/share /usr/local/share /app/share; do
            if [ -d $share/$folder ]; then mount -t tmpfs none $share/$folder || exit 77; fi
        done
    done
    exec \"$0\" run t";
    let mut command = home.namespace::<&str>(hide, &[]);
    let said = failure(&mut command);
    assert!(said.contains("bios-256k.bin is not installed"), "{said}");
    refused(
        &mut command,
        &[
            "install the package seabios",
            "GUESTHOUSE_FIRMWARE_DIR",
            "/usr/share/seabios",
        ],
        &files,
    );
    fs::create_dir(home.path("firmware")).unwrap();
    let wrong = home.write("firmware/bios-256k.bin", b"no firmware");
    let mut command = home.command(&["run", "t"]);
    command.env("GUESTHOUSE_FIRMWARE_DIR", home.path("firmware"));
    refused(
        &mut command,
        &[
            wrong.to_str().unwrap(),
            "not 256 KiB long",
            "reinstall the package seabios",
        ],
        &files,
    );
}

#[test]
fn a_definition_that_cannot_be_read_is_shown_with_its_line_and_kept() {
    let (home, [definition, _, image]) = home();
    let sound = fs::read_to_string(&definition).unwrap();
    let line = sound
        .lines()
        .position(|line| line.starts_with("mebibytes"))
        .unwrap()
        + 1;
    let broken = sound.replace("mebibytes = 64", "mebibytes = \"lots\"");
    let newer = sound.replace("schema = 1", "schema = 999");
    let name = definition.to_str().unwrap();
    let commands: [&[&str]; 5] = [
        &["show", "t"],
        &["run", "t"],
        &["start", "t"],
        &["pause", "t"],
        &["type", "t", "x"],
    ];
    for (text, parts) in [
        (
            broken,
            [
                format!("{name}, line {line},"),
                "correct the file in a text editor".to_owned(),
            ],
        ),
        (
            sound[..sound.len() / 2].to_owned() + "\n[[[",
            [
                name.to_owned(),
                "correct the file in a text editor".to_owned(),
            ],
        ),
        (
            newer,
            [
                format!("{name} was written by a newer version"),
                "update Guesthouse".to_owned(),
            ],
        ),
    ] {
        fs::write(&definition, text).unwrap();
        for command in commands {
            refused(
                &mut home.command(command),
                &[&parts[0], &parts[1]],
                &[&definition, &image],
            );
        }
        let list = home.json(&["list", "--json"]);
        assert_eq!(list[0]["state"], "broken");
        assert!(home.succeed(&["list"]).contains("broken: "), "it is listed");
        let taken = home.fail(&["create", "t", "--disk", "none"]);
        assert!(
            taken.contains("exists already") || taken.contains(name),
            "{taken}"
        );
        assert_eq!(contents(&[&image]).len(), 1);
    }
    fs::write(&definition, &sound).unwrap();
    assert_eq!(home.state("t")["state"], "off");
}

#[test]
fn a_running_machine_whose_process_dies_can_be_started_again() {
    let (home, [definition, _, image]) = home();
    let before = contents(&[&definition]);
    let running = home.run("t");
    home.wait_for_state("t", "running", 30);
    // Killed, not asked: its socket and its lock file stay behind.
    drop(running);
    assert_eq!(home.state("t")["state"], "off");
    guesthouse_tests::image::assert_sound(&image);
    let mut again: Running = Running::start(home.command(&[OsStr::new("run"), "t".as_ref()]));
    home.wait_for_state("t", "running", 30);
    home.succeed(&["poweroff", "t"]);
    assert!(again.wait(30).success(), "{}", again.said());
    assert_eq!(before, contents(&[&definition]));
}
