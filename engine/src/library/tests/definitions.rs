//! Definitions as people write them: what is wrong in them is shown, and a change leaves the rest alone.

use super::*;

#[test]
fn a_broken_definition_is_shown_with_its_line_and_never_overwritten() {
    let (_folder, library) = library();
    let good = create(&library, "Good");
    let broken = create(&library, "Broken");
    let text = fs::read_to_string(broken.file()).unwrap();
    for (wrong, line, words) in [
        (
            text.replace("count = 1", "count = \"many\""),
            Some("count"),
            "u32",
        ),
        (text.replace("count = 1", "count = "), Some("count"), ""),
        (
            text.replace("generation = 1", "generation = 9"),
            Some("generation"),
            "generation 9",
        ),
        (text.replace("generation = 1", ""), None, "generation"),
    ] {
        fs::write(broken.file(), &wrong).unwrap();
        let entries = library.scan().unwrap();
        let [Entry::Broken(found), Entry::Machine(other)] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!((other, &found.folder), (&good, &broken.folder));
        assert!(found.message.contains(words), "{found:?}");
        if let Some(line) = line {
            let number = wrong
                .lines()
                .position(|text| text.starts_with(line))
                .unwrap()
                + 1;
            assert_eq!(found.line, Some(number), "{found:?}");
        }
        let error = library.update(&broken, &good.definition).unwrap_err();
        assert!(matches!(error, LibraryError::NameTaken { .. }), "{error}");
        let error = library.update(&broken, &broken.definition).unwrap_err();
        assert!(matches!(error, LibraryError::Broken { .. }), "{error}");
        assert!(matches!(
            library.find("broken"),
            Err(LibraryError::Broken { .. })
        ));
        // Its name stays taken.
        let (definition, disks) = definition("Broken");
        assert!(matches!(
            library.create(&definition, &disks),
            Err(LibraryError::NameTaken { .. })
        ));
        assert_eq!(fs::read_to_string(broken.file()).unwrap(), wrong);
    }
    fs::write(broken.file(), [0xff, 0xfe]).unwrap();
    assert!(matches!(library.scan().unwrap()[0], Entry::Broken(_)));
    fs::remove_file(broken.file()).unwrap();
    fs::create_dir(broken.file()).unwrap();
    assert!(matches!(library.scan().unwrap()[0], Entry::Broken(_)));
}

#[test]
fn a_newer_schema_is_refused_and_kept() {
    let (_folder, library) = library();
    let machine = create(&library, "Future");
    let text = fs::read_to_string(machine.file())
        .unwrap()
        .replace("schema = 1", "schema = 2\ngravity = 9.81");
    fs::write(machine.file(), &text).unwrap();
    let Entry::Broken(found) = &library.scan().unwrap()[0] else {
        panic!()
    };
    assert_eq!(
        (found.newer_schema, found.title().as_str()),
        (Some(2), "Future")
    );
    let changed = Definition {
        operating_system: Some("x".into()),
        ..machine.definition.clone()
    };
    assert!(matches!(
        library.update(&machine, &changed),
        Err(LibraryError::Newer { schema: 2, .. })
    ));
    assert_eq!(fs::read_to_string(machine.file()).unwrap(), text);
}

const COMMENTED: &str = r#"# My server. Do not touch!
schema = 1
name = "Server"       # the name
uuid = "6f0c7f5e-2f86-4bd8-9a0d-6c1b8f7d9e11"
generation = 1
colour = "blue"       # unknown to this version

[memory]
mebibytes = 2048      # enough for now
balloon = true

# The system disk
[[drive]]
kind = "disk"
file = "system.raw"
format = "raw"
boot = 1
cache = "none"        # unknown too

# The installer
[[drive]]
kind = "optical"
file = "/isos/debian.iso"
read_only = true

[future]
answer = 42
"#;

fn commented(library: &Library) -> StoredMachine {
    let folder = library.folder().join("server");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(DEFINITION_FILE), COMMENTED).unwrap();
    library.find("server").unwrap()
}

#[test]
fn only_what_changed_is_written() {
    let (_folder, library) = library();
    let machine = commented(&library);
    assert_eq!(
        library.update(&machine, &machine.definition).unwrap(),
        machine
    );
    assert_eq!(
        fs::read_to_string(machine.file()).unwrap(),
        COMMENTED,
        "no change, no difference"
    );

    let mut wanted = machine.definition.clone();
    wanted.name = name("Files");
    wanted.memory.mebibytes = 4096;
    wanted.drives[0].boot = Some(2);
    let updated = library.update(&machine, &wanted).unwrap();
    assert_eq!(updated.definition, wanted);
    let expected = COMMENTED
        .replace("\"Server\"", "\"Files\"")
        .replace("2048", "4096")
        .replace("boot = 1", "boot = 2");
    assert_eq!(fs::read_to_string(machine.file()).unwrap(), expected);

    // What is taken away goes, what is new comes, and the rest is as it was.
    let mut wanted = updated.definition.clone();
    wanted.drives[0].boot = None;
    wanted.drives[1].file = None;
    wanted.operating_system = Some("http://debian.org/debian/12".to_owned());
    wanted.processor.count = 2;
    let updated = library.update(&updated, &wanted).unwrap();
    assert_eq!(updated.definition, wanted);
    let text = fs::read_to_string(machine.file()).unwrap();
    for line in expected
        .lines()
        .filter(|line| !line.starts_with("boot") && !line.contains("debian.iso"))
    {
        assert!(
            text.lines().any(|other| other == line),
            "{line:?} is lost:\n{text}"
        );
    }
    assert!(
        !text.contains("boot = ") && !text.contains("debian.iso"),
        "{text}"
    );
}

#[test]
fn drives_keep_their_comments_when_others_come_and_go() {
    let (_folder, library) = library();
    let machine = commented(&library);
    let mut wanted = machine.definition.clone();
    wanted.drives.swap(0, 1);
    wanted
        .drives
        .insert(1, Drive::disk("data.qcow2".into(), ImageFormat::Qcow2));
    let updated = library.update(&machine, &wanted).unwrap();
    assert_eq!(updated.definition, wanted);
    let text = fs::read_to_string(machine.file()).unwrap();
    let place = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("{words} is lost:\n{text}"))
    };
    assert!(place("# The installer") < place("debian.iso"));
    assert!(place("debian.iso") < place("data.qcow2"));
    assert!(place("data.qcow2") < place("# The system disk"));
    assert!(place("# The system disk") < place("system.raw"));
    assert!(place("system.raw") < place("cache = \"none\"        # unknown too"));
    let mut wanted = updated.definition.clone();
    wanted.drives.remove(0);
    wanted.drives.remove(0);
    let updated = library.update(&updated, &wanted).unwrap();
    assert_eq!(updated.definition, wanted);
    let text = fs::read_to_string(machine.file()).unwrap();
    assert!(
        text.contains("# The system disk") && text.contains("cache = \"none\""),
        "{text}"
    );
    assert!(
        !text.contains("# The installer") && text.contains("answer = 42"),
        "{text}"
    );
    let none = Definition {
        drives: Vec::new(),
        ..updated.definition.clone()
    };
    assert_eq!(library.update(&updated, &none).unwrap().definition, none);
}

#[test]
fn what_others_changed_meanwhile_stays() {
    let (_folder, library) = library();
    let machine = commented(&library);
    fs::write(
        machine.file(),
        COMMENTED.replace("mebibytes = 2048", "mebibytes = 8192"),
    )
    .unwrap();
    let renamed = library.rename(&machine, name("Files")).unwrap();
    assert_eq!(
        (
            renamed.definition.memory.mebibytes,
            renamed.definition.name.as_str()
        ),
        (8192, "Files")
    );
    // Drives in a list that is another by now cannot be told apart.
    let text = fs::read_to_string(machine.file()).unwrap();
    fs::write(
        machine.file(),
        format!("{text}\n[[drive]]\nkind = \"optical\"\n"),
    )
    .unwrap();
    let mut wanted = renamed.definition.clone();
    wanted.drives.remove(0);
    assert!(matches!(
        library.update(&renamed, &wanted),
        Err(LibraryError::Changed { .. })
    ));
}

#[test]
fn drives_in_one_line_are_understood() {
    let (_folder, library) = library();
    let machine = commented(&library);
    let start = COMMENTED.find("# The system disk").unwrap();
    let text = COMMENTED[..start].replace(
        "[memory]",
        "drive = [{ kind = \"optical\", tray = \"open\" }] # one\n\n[memory]",
    );
    fs::write(machine.file(), &text).unwrap();
    let machine = library.find("server").unwrap();
    assert_eq!(
        machine.definition.drives,
        [Drive {
            read_only: false,
            ..Drive::optical(None)
        }]
    );
    let mut wanted = machine.definition.clone();
    wanted.drives[0].file = Some("/a.iso".into());
    let updated = library.update(&machine, &wanted).unwrap();
    assert_eq!(updated.definition, wanted);
    assert!(
        fs::read_to_string(machine.file())
            .unwrap()
            .contains("tray = \"open\"")
    );
}

#[test]
fn a_link_to_a_definition_stays_a_link() {
    let (folder, library) = library();
    let machine = commented(&library);
    let elsewhere = folder.path().join("dotfiles.toml");
    fs::rename(machine.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, machine.file()).unwrap();
    library.rename(&machine, name("Files")).unwrap();
    assert!(machine.file().symlink_metadata().unwrap().is_symlink());
    assert!(fs::read_to_string(elsewhere).unwrap().contains("Files"));
}
