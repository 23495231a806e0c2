//! What `make install` puts where a distribution wants it, and `make uninstall` takes away again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const APPLICATION: &str = "io.github.guesthouse_vm.Guesthouse";
const PREFIX: &str = "/opt/guesthouse";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs make with what cargo built in place of a release.
fn make(goal: &str, built: &Path, destination: &Path) {
    let output = Command::new("make")
        .arg(goal)
        .arg(format!("BUILT={}", built.display()))
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("PREFIX={PREFIX}"))
        .current_dir(source())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "make {goal}: {said}");
}

/// All files below `folder`, by their paths from there.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

/// The value of `key` in a file of the desktop's.
fn value(file: &Path, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{} has no {key}", file.display()))
        .to_owned()
}

#[test]
fn what_is_installed_is_whole_and_goes_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (built, destination) = (folder.path().join("built"), folder.path().join("root"));
    fs::create_dir_all(&built).unwrap();
    for program in [
        env!("CARGO_BIN_EXE_guesthouse"),
        env!("CARGO_BIN_EXE_guesthouse-window"),
    ] {
        let name = Path::new(program).file_name().unwrap();
        symlink(program, built.join(name)).unwrap();
    }
    let documented = Command::new(env!("CARGO_BIN_EXE_guesthouse"))
        .arg("document")
        .arg(built.join("share"))
        .status();
    assert!(documented.unwrap().success());
    make("install", &built, &destination);
    let root = destination.join(PREFIX.trim_start_matches('/'));
    let installed = files(&root);
    for file in &installed {
        assert!(
            fs::metadata(root.join(file)).unwrap().len() > 0,
            "{} is empty",
            file.display()
        );
    }

    let share = root.join("share");
    let languages = fs::read_to_string(source().join("po/LINGUAS")).unwrap();
    let languages = languages.lines().filter(|line| !line.starts_with('#'));
    let mut expected: Vec<String> = languages
        .flat_map(str::split_whitespace)
        .map(|language| format!("share/locale/{language}/LC_MESSAGES/guesthouse.mo"))
        .collect();
    let desktop = share.join(format!("applications/{APPLICATION}.desktop"));
    let service = share.join(format!("dbus-1/services/{APPLICATION}.service"));
    let search = share.join(format!(
        "gnome-shell/search-providers/{APPLICATION}.search-provider.ini"
    ));
    let icon = value(&desktop, "Icon");
    let program = value(&desktop, "Exec");
    let program = program.split(' ').next().unwrap();
    expected.extend([
        format!("bin/{program}"),
        "libexec/guesthouse/guesthouse-window".to_owned(),
        format!("share/icons/hicolor/scalable/apps/{icon}.svg"),
        format!("share/icons/hicolor/symbolic/apps/{icon}-symbolic.svg"),
        format!("share/applications/{}", value(&search, "DesktopId")),
        format!(
            "share/dbus-1/services/{}.service",
            value(&search, "BusName")
        ),
        format!("share/dbus-1/interfaces/{APPLICATION}.Manager.xml"),
        format!("share/metainfo/{APPLICATION}.metainfo.xml"),
        format!("share/glib-2.0/schemas/{APPLICATION}.gschema.xml"),
        "share/licenses/guesthouse/LICENSE".to_owned(),
        "share/man/man1/guesthouse.1".to_owned(),
        "share/man/man1/guesthouse-create.1".to_owned(),
        "share/bash-completion/completions/guesthouse".to_owned(),
        "share/zsh/site-functions/_guesthouse".to_owned(),
        "share/fish/vendor_completions.d/guesthouse.fish".to_owned(),
    ]);
    for file in expected {
        assert!(installed.contains(Path::new(&file)), "{file} is missing");
    }
    let started = value(&service, "Exec");
    assert_eq!(
        started.split(' ').next(),
        Some(format!("{PREFIX}/bin/guesthouse").as_str())
    );

    let version = Command::new(root.join("bin/guesthouse"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(version.status.success());
    assert_eq!(
        String::from_utf8(version.stdout).unwrap().trim(),
        format!("guesthouse {}", env!("CARGO_PKG_VERSION"))
    );

    // Of somebody else.
    let other = share.join("dbus-1/services/org.example.Other.service");
    fs::write(&other, "other").unwrap();
    make("uninstall", &built, &destination);
    let left: Vec<_> = files(&destination).into_iter().collect();
    assert_eq!(left, [other.strip_prefix(&destination).unwrap()]);
}
