use std::path::Path;

use super::*;

const DEBIAN: &str = r#"<?xml version="1.0"?>
<libosinfo version="0.0.1">
  <!-- A comment -->
  <os id="http://debian.org/debian/12">
    <short-id>debian12</short-id>
    <short-id>debianbookworm</short-id>
    <name>Debian 12</name>
    <name xml:lang="ko">&#xB370;&#xBE44;&#xC548; 12</name>
    <version>12</version>
    <vendor>Debian &amp; Friends</vendor>
    <family>linux</family>
    <distro>debian</distro>
    <derives-from id="http://debian.org/debian/11"/>
    <release-date>2023-06-10</release-date>
    <resources arch="aarch64"><minimum><ram>1</ram></minimum></resources>
    <resources arch="all">
      <minimum><cpu>1000000000</cpu><n-cpus>1</n-cpus><ram>1073741824</ram><storage>10737418240</storage></minimum>
      <recommended><ram>2147483648</ram><n-cpus>256</n-cpus><storage>21474836480</storage></recommended>
    </resources>
    <devices>
      <device id="http://pcisig.com/pci/1af4/1041"/>
      <device id="http://pcisig.com/pci/1af4/1042"/>
    </devices>
    <variant id="live"><name>Debian 12 (Live)</name></variant>
    <media arch="x86_64">
      <variant id="netinst"/>
      <url>https://example.org/debian.iso</url>
      <iso><volume-id>Debian 12.\d+.\d+ amd64 n</volume-id></iso>
    </media>
    <media arch="aarch64"><iso><volume-id>Debian 12.\d+.\d+ arm64 n</volume-id></iso></media>
    <media arch="x86_64" live="true"><iso><volume-id>d-live 12\.\d+\.\d+ .. amd64</volume-id></iso></media>
    <media arch="x86_64"><iso><volume-id>(?!unsupported) 12</volume-id></iso></media>
    <media arch="x86_64"><url>https://example.org/without-iso</url></media>
  </os>
</libosinfo>"#;

const WINDOWS: &str = r#"<libosinfo version="0.0.1">
  <os id="http://microsoft.com/win/11">
    <short-id>win11</short-id>
    <name>Microsoft Windows 11</name>
    <family>winnt</family>
    <distro>win</distro>
    <firmware arch="aarch64" type="efi"/>
    <firmware arch="x86_64" type="efi"/>
    <firmware arch="x86_64" type="bios" supported="false"/>
    <media arch="x86_64">
      <iso>
        <volume-id>^(J_)?(CCSN?A|C?CCOMA)_X64FREE?_</volume-id>
        <publisher-id>MICROSOFT CORPORATION</publisher-id>
      </iso>
    </media>
    <media arch="x86_64">
      <iso><volume-id>SIZED</volume-id><volume-size>4096</volume-size></iso>
    </media>
    <resources arch="x86_64"><minimum><n-cpus>2</n-cpus><ram>4294967296</ram></minimum></resources>
  </os>
  <os id="http://microsoft.com/win/future">
    <name>Microsoft Windows (later)</name>
    <family>winnt</family>
    <release-status>prerelease</release-status>
    <derives-from id="http://microsoft.com/win/11"/>
    <media arch="x86_64"><iso><volume-id>SIZED|_X64FREE?_.....................................</volume-id></iso></media>
  </os>
</libosinfo>"#;

fn database(files: &[(&str, &str)]) -> Database {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    Database::load(&[folder.path().into()])
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (place, text) in files {
        let path = folder.join("os").join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn both() -> Database {
    database(&[
        ("debian.org/debian-12.xml", DEBIAN),
        ("microsoft.com/win.xml", WINDOWS),
    ])
}

fn disc(volume: &str) -> DiscIdentity<'_> {
    DiscIdentity {
        volume,
        system: "LINUX",
        publisher: "MICROSOFT CORPORATION",
        application: "",
        size: 2048,
    }
}

#[test]
fn a_system_has_what_its_file_says() {
    let database = both();
    let names: Vec<&str> = database
        .systems()
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Debian 12",
            "Microsoft Windows (later)",
            "Microsoft Windows 11"
        ]
    );
    let debian = database.find("debian12").unwrap();
    assert_eq!(database.find("http://debian.org/debian/12"), Some(debian));
    assert_eq!(debian.vendor, "Debian & Friends");
    assert_eq!(
        (debian.version.as_str(), debian.family.as_str()),
        ("12", "linux")
    );
    assert_eq!(debian.released.as_deref(), Some("2023-06-10"));
    assert_eq!(debian.minimum.memory, Some(1 << 30));
    assert_eq!(debian.recommended.storage, Some(20 << 30));
    assert!(debian.bios && !debian.uefi);
    assert_eq!(
        debian.defaults(),
        Defaults {
            memory_mebibytes: 2048,
            processors: 2,
            disk: 20 << 30,
            clock: Clock::Utc
        }
    );
}

#[test]
fn drivers_come_down_from_ancestors_until_one_says_otherwise() {
    let system = |id: &str, from: &str, devices: &str| {
        format!(
            "<os id='{id}'><name>{id}</name><derives-from id='{from}'/><devices>{devices}</devices></os>"
        )
    };
    let device = |number: &str, more: &str| {
        format!("<device id='http://pcisig.com/pci/1af4/{number}'{more}/>")
    };
    let without = device("1042", " supported='false'");
    let text = format!(
        "<libosinfo version='0.0.1'>{}{}{}{}</libosinfo>",
        system("a", "", &(device("1041", "") + &device("1042", ""))),
        system("b", "a", &device("1050", "")),
        system("c", "b", &without),
        // The older form of the disk, and an ancestor of its own.
        system("d", "d", &device("1001", "")),
    );
    let database = database(&[("x/x.xml", text.as_str())]);
    for (id, virtio_network, virtio_block, graphics) in [
        ("a", true, true, false),
        ("b", true, true, true),
        ("c", true, false, true),
        ("d", false, false, false),
    ] {
        let expected = Drivers {
            virtio_block,
            virtio_network,
            others: Devices {
                graphics,
                ..Devices::default()
            },
        };
        assert_eq!(database.find(id).unwrap().drivers, expected, "{id}");
    }
}

#[test]
fn windows_wants_local_time_and_what_it_does_not_say_comes_from_its_family_or_ancestor() {
    let database = both();
    let windows = database.find("win11").unwrap();
    assert!(!windows.bios && windows.uefi);
    let expected = Defaults {
        memory_mebibytes: 4096,
        processors: 2,
        disk: 64 << 30,
        clock: Clock::Local,
    };
    assert_eq!(windows.defaults(), expected);
    let later = database.find("http://microsoft.com/win/future").unwrap();
    assert_eq!(later.minimum, windows.minimum);
    let dos = OperatingSystem {
        family: "dos".into(),
        minimum: Resources::default(),
        recommended: Resources::default(),
        ..windows.clone()
    };
    assert_eq!(
        (dos.defaults().memory_mebibytes, dos.defaults().processors),
        (32, 1)
    );
}

#[test]
fn discs_are_recognised_by_every_expression_of_an_entry() {
    let database = both();
    for (volume, expected) in [
        (
            "Debian 12.11.0 amd64 n",
            Some(("debian12", "x86_64", false)),
        ),
        (
            "Debian 12.11.0 arm64 n",
            Some(("debian12", "aarch64", false)),
        ),
        (
            "d-live 12.11.0 gn amd64",
            Some(("debian12", "x86_64", true)),
        ),
        ("Debian 13.0.0 amd64 n", None),
        ("CCCOMA_X64FRE_EN-US_DV9", Some(("win11", "x86_64", false))),
        ("xCCCOMA_X64FRE_EN-US_DV9", None),
        ("", None),
    ] {
        let found = database
            .recognise(&disc(volume))
            .map(|it| (it.system.short_id.as_str(), it.architecture, it.live));
        assert_eq!(found, expected, "{volume}");
    }
    let other_publisher = DiscIdentity {
        publisher: "SOMEONE ELSE",
        ..disc("CCCOMA_X64FRE_EN-US_DV9")
    };
    assert!(database.recognise(&other_publisher).is_none());
    let unsaid = DiscIdentity {
        publisher: "",
        ..disc("CCCOMA_X64FRE_EN-US_DV9")
    };
    assert!(database.recognise(&unsaid).is_none());
}

#[test]
fn a_size_decides_and_released_systems_come_before_others() {
    let database = both();
    let id = |disc: &DiscIdentity<'_>| database.recognise(disc).map(|it| it.system.id.clone());
    let sized = DiscIdentity {
        size: 4096,
        ..disc("SIZED")
    };
    assert_eq!(id(&sized).as_deref(), Some("http://microsoft.com/win/11"));
    assert_eq!(
        id(&disc("SIZED")).as_deref(),
        Some("http://microsoft.com/win/future")
    );
    // Longer than that of Windows 11, but not released.
    let long = format!("CCCOMA_X64FRE_{}", "x".repeat(40));
    assert_eq!(
        id(&disc(&long)).as_deref(),
        Some("http://microsoft.com/win/11")
    );
}

#[test]
fn later_folders_and_additions_win_and_broken_files_are_left_out() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(
        first.path(),
        &[
            (
                "a.org/a.xml",
                r#"<libosinfo><os id="a"><name>Old A</name></os></libosinfo>"#,
            ),
            ("a.org/broken.xml", "<libosinfo><os id='b'><name>B</nam"),
            ("a.org/not-xml.xml", "\u{0}\u{1}"),
            (
                "a.org/readme.txt",
                "<libosinfo><os id='c'><name>C</name></os></libosinfo>",
            ),
            (
                "a.org/unnamed.xml",
                "<libosinfo><os id='d'/><os><name>E</name></os></libosinfo>",
            ),
        ],
    );
    std::fs::write(first.path().join("os/a.org/latin.xml"), b"<os>\xff</os>").unwrap();
    write(
        second.path(),
        &[
            (
                "a.org/a.xml",
                r#"<libosinfo><os id="a"><name>New A</name></os></libosinfo>"#,
            ),
            (
                "a.org/a.d/more.xml",
                r#"<libosinfo><os id="a"><short-id>short</short-id>
                   <media arch="all"><iso><volume-id>^A$</volume-id></iso></media></os></libosinfo>"#,
            ),
        ],
    );
    let database = Database::load(&[first.path().into(), second.path().into(), "/nowhere".into()]);
    assert_eq!(database.systems().len(), 1);
    assert_eq!(database.find("short").unwrap().name, "New A");
    assert_eq!(database.recognise(&disc("A")).unwrap().system.id, "a");
}

#[test]
fn ancestors_in_a_circle_end() {
    let database = database(&[(
        "a/a.xml",
        r#"<libosinfo><os id="a"><name>A</name><derives-from id="b"/></os>
           <os id="b"><name>B</name><clones id="a"/></os></libosinfo>"#,
    )]);
    assert_eq!(database.find("a").unwrap().minimum, Resources::default());
}

#[test]
fn systems_are_found_by_what_other_programs_call_them() {
    let database = both();
    for (text, expected) in [
        ("Debian 12", Some("debian12")),
        ("debian12", Some("debian12")),
        ("Debian GNU/Linux 12 (64-bit)", Some("debian12")),
        ("debian12_64Guest", Some("debian12")),
        ("Debian_64", None),
        ("Debian 1", None),
        ("Debian 127", None),
        ("Microsoft Windows 11 (64-bit)", Some("win11")),
        ("Windows11_64", Some("win11")),
        ("Other", None),
        ("", None),
        ("64-bit", None),
    ] {
        let found = database.called(text).map(|system| system.short_id.as_str());
        assert_eq!(found, expected, "{text:?}");
    }
}
