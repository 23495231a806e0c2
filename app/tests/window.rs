//! The real window under a display of its own, worked only through the accessibility tree and the keyboard. What is done there
//! stands in `tests/window/`, a script each; this file makes what the scripts boot and runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use guesthouse_tests::media::{el_torito, gathered, program};
use tempfile::TempDir;

/// Runs tests/window/NAME.py with these arguments.
fn work_window(name: &str, arguments: &[&Path]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace is above the crate");
    let output = Command::new("python3")
        .arg("-B")
        .arg(source.join("tests/window").join(format!("{name}.py")))
        .args(arguments)
        .env("GUESTHOUSE_BINARY", env!("CARGO_BIN_EXE_guesthouse"))
        .env("GUESTHOUSE_SCREENS", source.join("target/screens"))
        .stdin(Stdio::null())
        .output()
        .expect("python3 is installed");
    assert!(
        output.status.success(),
        "{name}.py ended with {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A medium whose program says hello and echoes keys.
fn hello() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the medium");
    let path = folder.path().join("hello.iso");
    let medium = el_torito("HELLO", &program::echo("Guesthouse says hello: "));
    std::fs::write(&path, medium).expect("the medium is written");
    (folder, path)
}

#[test]
fn a_machine_is_made_worked_deleted_and_brought_back() {
    let (_folder, medium) = hello();
    work_window("machine", &[&medium]);
}

#[test]
fn what_is_opened_with_guesthouse_begins_a_machine() {
    let (_folder, medium) = hello();
    work_window("open", &[&medium]);
}

#[test]
fn every_control_has_a_name() {
    let (_folder, medium) = hello();
    work_window("names", &[&medium]);
}

#[test]
#[ignore = "takes minutes: pictures of every page, for people to look at"]
fn every_page_is_looked_at() {
    let (_folder, medium) = hello();
    work_window("pages", &[&medium]);
}

#[test]
fn an_installer_that_is_done_is_ejected() {
    let folder = tempfile::tempdir().expect("a folder for the medium");
    let path = folder.path().join("installer.iso");
    let medium = el_torito("INSTALLER", &program::write_and_restart(66));
    std::fs::write(&path, medium).expect("the medium is written");
    work_window("installed", &[&path]);
}

#[test]
fn a_broken_file_is_shown_with_its_line() {
    work_window("broken", &[]);
}

#[test]
fn machines_run_on_whatever_goes_wrong_beside_them() {
    let (folder, medium) = hello();
    let path = folder.path().join("crash.iso");
    // Waits for a key, then jumps to where there is no memory.
    let program = [0xb4, 0x00, 0xcd, 0x16, 0xea, 0x00, 0x00, 0x00, 0xa0];
    std::fs::write(&path, el_torito("CRASH", &program)).expect("the medium is written");
    work_window("trouble", &[&medium, &path]);
}

#[test]
fn a_portal_that_fails_is_told() {
    work_window("refused", &[]);
}

#[test]
fn a_host_without_kvm_is_explained() {
    work_window("host", &[]);
}

#[test]
fn grub_draws_its_menu_and_takes_keys() {
    work_window("grub", &[&gathered("grub-rescue.iso")]);
}

#[test]
fn the_list_is_searched_sorted_renamed_and_worked_together() {
    let (_folder, medium) = hello();
    work_window("library", &[&medium]);
}

#[test]
fn a_machine_has_a_window_of_its_own() {
    let (_folder, medium) = hello();
    work_window("own_window", &[&medium]);
}

#[test]
fn a_machine_fills_the_monitor_that_is_chosen_for_it() {
    let (_folder, medium) = hello();
    work_window("monitors", &[&medium]);
}

#[test]
fn other_programs_work_machines_by_the_session_bus() {
    let (_folder, medium) = hello();
    work_window("bus", &[&medium]);
}

#[test]
fn the_desktop_says_what_needs_a_person() {
    let folder = tempfile::tempdir().expect("a folder for the medium");
    let path = folder.path().join("writer.iso");
    let medium = el_torito("WRITER", &program::write_sectors(24, 128));
    std::fs::write(&path, medium).expect("the medium is written");
    work_window("notifications", &[&path]);
}

#[test]
fn machines_of_other_processes_are_shown_and_shut_down() {
    let (_folder, medium) = hello();
    work_window("elsewhere", &[&medium]);
}

#[test]
fn snapshots_are_taken_reverted_branched_and_deleted() {
    work_window("snapshots", &[]);
}

#[test]
fn every_topic_of_the_hardware_is_changed_by_keyboard() {
    work_window("topics", &[]);
}

#[test]
fn virtual_switches_are_made_changed_and_kept_while_used() {
    work_window("switches", &[]);
}

#[test]
fn drives_are_added_changed_and_removed() {
    work_window("hardware", &[]);
}

#[test]
fn machines_and_disks_come_in_and_go_out() {
    work_window("exchange", &[]);
}

#[test]
fn disks_are_checked_mended_and_changed_in_the_window() {
    work_window("disk_tools", &[]);
}

#[test]
fn the_serial_line_is_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder for the medium");
    let medium = folder.path().join("serial.iso");
    let program = program::serial_echo("\x1b[2J\x1b[HThis guest has no screen: ");
    std::fs::write(&medium, el_torito("SERIAL", &program)).expect("the medium is written");
    work_window("serial", &[&medium]);
}

#[test]
fn a_full_disk_is_explained_and_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder for the medium");
    let medium = folder.path().join("writer.iso");
    let content = el_torito("WRITER", &program::write_sectors(24, 128));
    std::fs::write(&medium, content).expect("the medium is written");
    work_window("full_disk", &[&medium]);
}

#[test]
fn preferences_hold() {
    let (_folder, medium) = hello();
    work_window("preferences", &[&medium]);
}

#[test]
fn the_window_speaks_other_languages() {
    work_window("language", &[]);
}
