//! The three crates depend on one another in one direction only: engine <- ui <- app.
use std::process::Command;

fn tree(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            package,
        ])
        .output()
        .expect("cargo tree runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo tree prints UTF-8")
}

fn direct(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--depth",
            "1",
            "--package",
            package,
        ])
        .output()
        .expect("cargo tree runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo tree prints UTF-8")
}

fn names(tree: &str) -> Vec<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .collect()
}

#[test]
fn the_engine_reaches_no_toolkit_and_no_bus() {
    let tree = tree("guesthouse-engine");
    for forbidden in [
        "gtk4",
        "relm4",
        "libadwaita",
        "zbus",
        "ashpd",
        "guesthouse-ui",
        "guesthouse",
    ] {
        assert!(
            !names(&tree).contains(&forbidden),
            "the engine reaches {forbidden}"
        );
    }
}

#[test]
fn the_windows_name_neither_kvm_nor_guest_memory() {
    let tree = direct("guesthouse-ui");
    for forbidden in [
        "kvm-ioctls",
        "kvm-bindings",
        "vm-memory",
        "imago",
        "qcow2-rs",
        "guesthouse",
    ] {
        assert!(
            !names(&tree).contains(&forbidden),
            "the ui names {forbidden} itself"
        );
    }
}
