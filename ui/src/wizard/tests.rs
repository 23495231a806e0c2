//! The wizard's rules, on a place with 4 processors, 8 GiB of memory and two machines.

use std::path::{Path, PathBuf};

use super::draft::{Choice, DiskChoice, Draft, Place, Preferred};
use super::findings::{Field, objections};
use crate::model::media::{Found, Role};
use guesthouse_engine::disk::formats::ova::Appliance;
use guesthouse_engine::media::operating_system::{Drivers, Resources};
use guesthouse_engine::media::{Foreign, Partitioning};

use crate::model::{
    Clock, DriveKind, Forward, Generation, Host, ImageFormat, Medium, MediumKind, Name,
    OperatingSystem, Original, Protocol, Severity, Suggestion, UNPLUGGED,
};

const GIBIBYTE: u64 = 1 << 30;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn system(id: &str, name: &str, family: &str) -> OperatingSystem {
    let needs = |memory, storage| Resources {
        memory: Some(memory),
        storage: Some(storage),
        processors: None,
    };
    OperatingSystem {
        id: id.into(),
        short_id: String::new(),
        name: name.into(),
        version: String::new(),
        vendor: String::new(),
        family: family.into(),
        distribution: String::new(),
        released: None,
        minimum: needs(GIBIBYTE, 10 * GIBIBYTE),
        recommended: needs(3 * GIBIBYTE, 40 * GIBIBYTE),
        bios: true,
        uefi: true,
        drivers: Drivers {
            virtio_block: family == "linux",
            virtio_network: family == "linux",
            ..Drivers::default()
        },
    }
}

fn place() -> Place {
    let systems = vec![
        system("http://debian.org/debian/12", "Debian 12", "linux"),
        system("http://microsoft.com/win/98", "Windows 98", "win9x"),
    ];
    Place {
        host: Host {
            processors: 4,
            memory: 8 * GIBIBYTE,
            available: 8 * GIBIBYTE,
            secure_boot: true,
        },
        names: vec![name("Debian 12"), name("other")],
        images: vec![("/images/taken.qcow2".into(), name("other"))],
        free: Some(100 * GIBIBYTE),
        largest_file: None,
        systems: systems.leak(),
        no_uefi: None,
        switches: vec!["lab".into()],
        forwards: vec![(Forward::new(Protocol::Tcp, 2222, 22), name("other"))],
        preferred: Preferred::default(),
    }
}

fn medium(kind: MediumKind, system: Option<OperatingSystem>) -> Medium {
    Medium {
        kind,
        label: None,
        created: None,
        bios_bootable: (kind != MediumKind::Qcow2).then_some(true),
        uefi_bootable: None,
        hybrid: false,
        operating_system: system,
        architecture: None,
        live: false,
        size: 1000,
        warnings: Vec::new(),
    }
}

/// A draft in which `path` was chosen and `found` was found in it.
fn chosen(path: &str, found: Medium, place: &Place) -> Draft {
    let mut draft = Draft::new(place);
    draft.take(Choice::Source(Some(path.into())), place);
    draft.take(
        Choice::Inspected(path.into(), Ok(Box::new(found.into()))),
        place,
    );
    draft
}

fn against(draft: &Draft, place: &Place, field: Field) -> Option<Severity> {
    let found = objections(draft, place).into_iter();
    found
        .filter(|objection| objection.field == field)
        .map(|objection| objection.severity)
        .max()
}

#[test]
fn a_new_draft_can_be_created_at_once() {
    let place = place();
    let draft = Draft::new(&place);
    assert_eq!(draft.name, "New machine");
    assert_eq!(objections(&draft, &place), []);
    assert_eq!(draft.new_disk().map(|disk| disk.size), Some(20 * GIBIBYTE));
}

#[test]
fn the_medium_fills_what_nobody_typed() {
    let place = place();
    let mut draft = chosen(
        "/a.iso",
        medium(MediumKind::Optical, place.systems.first().cloned()),
        &place,
    );
    assert_eq!(draft.name, "Debian 12 2", "the plain name is taken");
    assert_eq!((draft.memory, draft.disk_size), (3072, 40));
    draft.take(Choice::Name("mine".into()), &place);
    draft.take(Choice::Memory(512), &place);
    draft.take(Choice::System(Some(1)), &place);
    assert_eq!(
        (draft.name.as_str(), draft.memory, draft.disk_size),
        ("mine", 512, 40)
    );
    assert_eq!(draft.definition(name("mine")).clock, Clock::Local);
    assert_eq!(
        against(&draft, &place, Field::Memory),
        Some(Severity::Warning),
        "below what Windows 98 needs"
    );
}

#[test]
fn without_a_system_the_file_gives_the_name() {
    let place = place();
    let draft = chosen(
        "/isos/grub-rescue.iso",
        medium(MediumKind::Optical, None),
        &place,
    );
    assert_eq!(draft.name, "grub-rescue");
}

#[test]
fn a_late_answer_about_another_file_is_passed_over() {
    let place = place();
    let mut draft = Draft::new(&place);
    draft.take(Choice::Source(Some("/b.iso".into())), &place);
    let found = medium(MediumKind::Qcow2, None);
    draft.take(
        Choice::Inspected("/a.iso".into(), Ok(Box::new(found.into()))),
        &place,
    );
    assert_eq!(draft.medium(), None);
}

#[test]
fn what_was_installed_starts_before_the_installer_and_a_full_disk_after() {
    let place = place();
    let order = |draft: &Draft| -> Vec<(DriveKind, Option<u32>)> {
        let drives = draft.definition(name("a")).drives.into_iter();
        drives.map(|drive| (drive.kind, drive.boot)).collect()
    };
    let mut draft = chosen("/a.iso", medium(MediumKind::Optical, None), &place);
    assert_eq!(
        order(&draft),
        [(DriveKind::Disk, Some(1)), (DriveKind::Optical, Some(2))]
    );
    draft.take(Choice::Disk(DiskChoice::Existing), &place);
    draft.take(Choice::DiskFile("/disk.img".into()), &place);
    assert_eq!(
        order(&draft),
        [(DriveKind::Disk, Some(2)), (DriveKind::Optical, Some(1))]
    );
}

#[test]
fn a_disk_as_source_is_the_disk_with_its_format_said() {
    let place = place();
    let mut draft = chosen("/a.qcow2", medium(MediumKind::Qcow2, None), &place);
    assert_eq!(draft.disk, DiskChoice::None);
    assert_eq!(
        draft.definition(name("a")).drives[0].file.as_deref(),
        Some(Path::new("disk.qcow2")),
        "unless somebody says otherwise, the machine gets a copy"
    );
    draft.take(Choice::Copy(false), &place);
    assert_eq!(draft.copied_disks(), []);
    let definition = draft.definition(name("a"));
    let disk = definition.drives.first().unwrap();
    assert_eq!(
        (disk.kind, disk.format, disk.boot),
        (DriveKind::Disk, ImageFormat::Qcow2, Some(1))
    );
    assert_eq!(disk.file.as_deref(), Some(Path::new("/a.qcow2")));
    assert_eq!(objections(&draft, &place), []);
}

#[test]
fn each_rule_speaks_at_its_field() {
    let place = place();
    let small = Place {
        largest_file: Some(u64::from(u32::MAX)),
        ..place.clone()
    };
    let check = |choices: &[Choice], place: &Place, field, severity| {
        let mut draft = Draft::new(place);
        for choice in choices {
            draft.take(choice.clone(), place);
        }
        assert_eq!(against(&draft, place, field), severity, "{choices:?}");
    };
    let error = Some(Severity::Error);
    let warning = Some(Severity::Warning);
    for (typed, severity) in [
        ("", error),
        (" . ", error),
        ("a/b", error),
        ("DEBIAN 12", error),
        (&"x".repeat(65), error),
        ("fine", None),
    ] {
        check(&[Choice::Name(typed.into())], &place, Field::Name, severity);
    }
    check(&[Choice::Processors(0)], &place, Field::Processors, error);
    check(&[Choice::Processors(5)], &place, Field::Processors, warning);
    check(&[Choice::Processors(255)], &place, Field::Processors, error);
    check(&[Choice::Processors(4)], &place, Field::Processors, None);
    check(&[Choice::Memory(9000)], &place, Field::Memory, error);
    check(&[Choice::Memory(7000)], &place, Field::Memory, warning);
    check(
        &[Choice::System(Some(0)), Choice::DiskSize(5)],
        &place,
        Field::Disk,
        warning,
    );
    check(&[Choice::DiskSize(101)], &place, Field::Disk, warning);
    check(&[Choice::DiskSize(101)], &small, Field::Disk, error);
    check(
        &[Choice::Disk(DiskChoice::None)],
        &place,
        Field::Disk,
        warning,
    );
    let existing = |file: &str| {
        [
            Choice::Disk(DiskChoice::Existing),
            Choice::DiskFile(file.into()),
        ]
    };
    check(&existing(""), &place, Field::DiskFile, error);
    check(&existing("relative.img"), &place, Field::DiskFile, error);
    check(
        &existing("/images/taken.qcow2"),
        &place,
        Field::DiskFile,
        error,
    );
    check(
        &existing("/images/free.qcow2"),
        &place,
        Field::DiskFile,
        None,
    );
    let source = |path: &str| Choice::Source(Some(path.into()));
    let found = |path: &str, found: Result<Box<Medium>, String>| {
        let found = found.map(|medium| Box::new((*medium).into()));
        Choice::Inspected(PathBuf::from(path), found)
    };
    check(&[source("a.iso")], &place, Field::Source, error);
    check(
        &[source("/a.iso"), found("/a.iso", Err("unreadable".into()))],
        &place,
        Field::Source,
        error,
    );
    let dead = Medium {
        bios_bootable: Some(false),
        ..medium(MediumKind::Optical, None)
    };
    check(
        &[source("/a.iso"), found("/a.iso", Ok(Box::new(dead)))],
        &place,
        Field::Source,
        warning,
    );
    let zip = medium(MediumKind::Foreign(Foreign::Zip), None);
    check(
        &[source("/a.zip"), found("/a.zip", Ok(Box::new(zip.clone())))],
        &place,
        Field::Source,
        error,
    );
    let image = |kind| {
        let found = Choice::DiskInspected("/d".into(), Ok(Box::new(medium(kind, None).into())));
        [existing("/d").to_vec(), vec![found]].concat()
    };
    let raw = MediumKind::RawDisk(Partitioning::Mbr);
    check(&image(zip.kind), &place, Field::DiskFile, error);
    check(
        &image(MediumKind::Optical),
        &place,
        Field::DiskFile,
        warning,
    );
    check(&image(raw), &place, Field::DiskFile, None);
    let taken = "/images/taken.qcow2";
    check(
        &[
            source(taken),
            found(taken, Ok(Box::new(medium(MediumKind::Qcow2, None)))),
            Choice::Copy(false),
        ],
        &place,
        Field::Source,
        error,
    );
}

#[test]
fn images_of_other_programs_are_copied_and_what_they_need_is_asked_for() {
    let place = place();
    let vmdk = Found {
        chain: vec!["/base.vmdk".into()],
        disk_size: Some(GIBIBYTE),
        ..medium(MediumKind::Foreign(Foreign::Vmdk), None).into()
    };
    let mut draft = Draft::new(&place);
    draft.take(Choice::Source(Some("/old.vmdk".into())), &place);
    draft.take(
        Choice::Inspected("/old.vmdk".into(), Ok(Box::new(vmdk.clone()))),
        &place,
    );
    assert_eq!(draft.name, "old");
    assert_eq!(draft.source_role(), Some(Role::OtherDisk));
    assert_eq!(
        against(&draft, &place, Field::Source),
        Some(Severity::Error)
    );
    draft.take(Choice::Agree(vmdk.chain.clone(), true), &place);
    // Whether it is copied is no question.
    draft.take(Choice::Copy(false), &place);
    assert_eq!(objections(&draft, &place), []);
    let copies = draft.copied_disks();
    let Original::Image(image) = &copies[0].from else {
        panic!("{copies:?}")
    };
    assert_eq!(image.backing.files, vmdk.chain);
    assert_eq!(image.format.map(|format| format.name()), Some("vmdk"));
    let drives = draft.definition(name("a")).drives;
    assert_eq!(drives[0].file.as_ref(), Some(&copies[0].file));
    assert!(draft.command().contains("--disk /old.vmdk --copy-disk"));
    draft.take(Choice::Agree(vmdk.chain, false), &place);
    assert_eq!(
        against(&draft, &place, Field::Source),
        Some(Severity::Error)
    );
    // Another disk beside it has another name.
    draft.take(Choice::Disk(DiskChoice::New), &place);
    let names: Vec<_> = draft
        .definition(name("a"))
        .drives
        .iter()
        .filter_map(|drive| drive.file.clone())
        .collect();
    assert_eq!(names, [Path::new("disk.qcow2"), Path::new("disk-2.qcow2")]);
}

#[test]
fn an_image_in_place_keeps_the_files_that_were_agreed_to() {
    let place = place();
    let overlay = Found {
        chain: vec!["/base.img".into()],
        ..medium(MediumKind::Qcow2, None).into()
    };
    let mut draft = Draft::new(&place);
    for choice in [
        Choice::Source(Some("/top.qcow2".into())),
        Choice::Inspected("/top.qcow2".into(), Ok(Box::new(overlay))),
        Choice::Copy(false),
        Choice::Agree(vec!["/base.img".into()], true),
    ] {
        draft.take(choice, &place);
    }
    assert_eq!(objections(&draft, &place), []);
    let drive = draft.definition(name("a")).drives.remove(0);
    assert_eq!(drive.file.as_deref(), Some(Path::new("/top.qcow2")));
    assert_eq!(drive.backing, [Path::new("/base.img")]);
}

#[test]
fn a_packed_machine_fills_in_what_it_says() {
    let place = place();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.ovf");
    std::fs::write(folder.path().join("a.vmdk"), b"KDMV").unwrap();
    std::fs::write(
        &file,
        "<Envelope><References><File id='f' href='a.vmdk'/></References><DiskSection><Disk diskId='d' fileRef='f' capacity='1'/></DiskSection><VirtualSystem id='Box'/></Envelope>",
    )
    .unwrap();
    let appliance = Appliance::read(&file).unwrap();
    let suggestion = Suggestion {
        name: Some(name("Box")),
        system: None,
        generation: Generation::Two,
        processors: Some(3),
        memory_mebibytes: Some(777),
        network: true,
        notes: vec!["It had a parrot.".to_owned()],
    };
    let found = Found {
        packed: Some((appliance, suggestion)),
        ..medium(MediumKind::Unknown, None).into()
    };
    let mut draft = Draft::new(&place);
    draft.take(Choice::Source(Some(file.clone())), &place);
    draft.take(Choice::Inspected(file, Ok(Box::new(found))), &place);
    assert_eq!(
        (draft.name.as_str(), draft.processors, draft.memory),
        ("Box", 3, 777)
    );
    assert_eq!(draft.generation, Generation::Two);
    assert_eq!(draft.disk, DiskChoice::None);
    assert_eq!(draft.copied_disks().len(), 1);
    let found = objections(&draft, &place);
    assert!(
        found
            .iter()
            .any(|objection| objection.message == "It had a parrot."),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .all(|objection| objection.severity == Severity::Warning)
    );
    assert!(draft.command().starts_with("guesthouse import "));
}

#[test]
fn the_command_makes_the_same_machine() {
    let place = place();
    let mut draft = chosen(
        "/my isos/it's.iso",
        medium(MediumKind::Optical, None),
        &place,
    );
    draft.take(Choice::Start(false), &place);
    assert_eq!(
        draft.command(),
        r"guesthouse create 'it'\''s' --iso '/my isos/it'\''s.iso' --disk 20G --memory 2048M --cpus 2 --generation 1 --network nat"
    );
    draft.take(Choice::Disk(DiskChoice::None), &place);
    draft.take(Choice::Start(true), &place);
    assert!(
        draft
            .command()
            .ends_with("--disk none --memory 2048M --cpus 2 --generation 1 --network nat --start")
    );
}

#[test]
fn a_medium_for_uefi_alone_makes_a_generation_2_machine_where_that_can_run() {
    let mut place = place();
    let uefi = Medium {
        bios_bootable: Some(false),
        uefi_bootable: Some(true),
        ..medium(MediumKind::Optical, place.systems.first().cloned())
    };
    let draft = chosen("/a.iso", uefi.clone(), &place);
    assert_eq!(draft.generation, Generation::Two);
    assert_eq!(against(&draft, &place, Field::Source), None);
    let definition = draft.definition(name("a"));
    assert_eq!(definition.generation, Generation::Two);
    assert!(definition.findings(&place.host).is_empty());

    place.no_uefi = Some("No UEFI here.".into());
    let mut draft = chosen("/a.iso", uefi, &place);
    assert_eq!(draft.generation, Generation::One);
    assert_eq!(
        against(&draft, &place, Field::Source),
        Some(Severity::Warning)
    );
    draft.take(Choice::Generation(Generation::Two), &place);
    assert_eq!(
        against(&draft, &place, Field::Generation),
        Some(Severity::Error)
    );
}

#[test]
fn the_network_card_is_at_the_switch_that_was_chosen_with_its_forwards() {
    let place = place();
    let mut draft = Draft::new(&place);
    assert_eq!(draft.definition(name("a")).networks.len(), 1);
    draft.take(Choice::Switch("lab".into()), &place);
    let forwards = vec![Forward::new(Protocol::Tcp, 2222, 22)];
    draft.take(Choice::Forwards(forwards.clone()), &place);
    let definition = draft.definition(name("a"));
    assert_eq!(
        definition
            .networks
            .iter()
            .map(|card| (card.switch.as_str(), card.forwards.clone()))
            .collect::<Vec<_>>(),
        [("lab", forwards)]
    );
    assert_eq!(
        against(&draft, &place, Field::Network),
        Some(Severity::Warning),
        "another machine forwards the port too"
    );
    assert!(
        draft
            .command()
            .contains("--network lab --forward tcp:127.0.0.1:2222:22")
    );
    draft.take(Choice::Switch(UNPLUGGED.into()), &place);
    assert!(draft.definition(name("a")).networks.is_empty());
    assert_eq!(against(&draft, &place, Field::Network), None);
    assert!(!draft.command().contains("--forward"));
}

#[test]
fn what_is_preferred_goes_before_what_systems_suggest() {
    let preferred = Preferred {
        processors: Some(3),
        memory: Some(6144),
        disk_size: Some(60),
    };
    let place = Place {
        preferred,
        ..place()
    };
    let draft = Draft::new(&place);
    assert_eq!(
        (draft.processors, draft.memory, draft.disk_size),
        (3, 6144, 60)
    );

    // No more than the host has.
    let preferred = Preferred {
        processors: Some(64),
        memory: Some(1 << 20),
        disk_size: None,
    };
    let place = Place { preferred, ..place };
    let mut draft = Draft::new(&place);
    assert_eq!((draft.processors, draft.memory), (4, 8192));
    draft.take(Choice::System(Some(0)), &place);
    assert_eq!(
        (draft.processors, draft.memory, draft.disk_size),
        (4, 8192, 40)
    );

    // What a person says now holds.
    draft.take(Choice::Memory(512), &place);
    draft.take(Choice::Processors(1), &place);
    assert_eq!((draft.processors, draft.memory), (1, 512));
}
