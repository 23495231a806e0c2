//! What Debian's firmware test suite finds wrong with the ACPI and SMBIOS tables of a machine, beside what it finds with those of QEMU's
//! machine of the same kind: Linux reads both, with the same firmware.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use guesthouse_engine::definition::Drive;
use guesthouse_tests::bench::program::{Running, add_uefi, qemu};
use guesthouse_tests::media::gathered;

use super::Kind;
use super::linux::BOOT;

/// How long the suite may take: it runs every method of the tables, on a processor that may be emulated.
const SUITE: u64 = 1800;

/// Runs it from its medium, and says what failed, and how much was tried.
const COMMAND: &str = "\
    for disc in /dev/sr*; do mount -t iso9660 $disc /mnt 2>/dev/null && [ -e /mnt/bin/fwts ] && break; umount /mnt; done; \
    libraries=/mnt/lib/x86_64-linux-gnu; \
    PATH=$PATH:/mnt/bin $libraries/ld-linux-x86-64.so.2 --library-path $libraries /mnt/bin/fwts --quiet --json-data-path=/mnt/share \
    --results-output=/tmp/results.log --acpitests dmicheck; \
    grep -A 1 '^FAILED' /tmp/results.log; grep 'passed,' /tmp/results.log | tail -n 1";

/// What failed, by the name of the finding, with how the suite put it first; and how many tests passed.
fn findings(said: &str) -> (BTreeMap<String, String>, u32) {
    let mut failed = BTreeMap::new();
    let mut passed = 0;
    for line in said.lines().map(str::trim) {
        if let Some(finding) = line.strip_prefix("FAILED [") {
            let name = finding.split_whitespace().nth(1).unwrap_or(finding);
            failed
                .entry(name.trim_end_matches(':').to_owned())
                .or_insert_with(|| line.to_owned());
        } else if let Some((count, _)) = line.split_once(" passed,") {
            passed = count.parse().unwrap_or(0);
        }
    }
    (failed, passed)
}

/// What QEMU's machine of this kind is found to have.
fn theirs(kind: Kind, variables: &Path) -> anyhow::Result<String> {
    let drive = |name: &str| format!("file={},media=cdrom,readonly=on", gathered(name).display());
    let mut command = qemu(if kind.is_uefi() { "q35" } else { "pc" }, 512);
    if kind.is_uefi() {
        add_uefi(&mut command, variables)?;
    }
    command.args(["-vga", "std", "-boot", "d"]);
    command.args([
        "-drive",
        &drive("linux.iso"),
        "-drive",
        &drive("firmware-tests.iso"),
    ]);
    let mut running = Running::start(command)?;
    running.log_in(Duration::from_secs(BOOT))?;
    running.shell(COMMAND, Duration::from_secs(SUITE))
}

/// Nothing fails here that does not fail there.
pub fn tables(kind: Kind) {
    let mut definition = kind.with_medium("linux.iso", 512, 1);
    definition
        .drives
        .push(Drive::optical(Some(gathered("firmware-tests.iso"))));
    let guest = kind.start(definition, |_| {});
    guest.log_in(BOOT);
    let said = guest.shell(COMMAND, SUITE);
    eprintln!("{said}");
    let (ours, passed) = findings(&said);
    assert!(passed > 50, "the suite did not run: {said}");
    drop(guest);

    let scratch = tempfile::tempdir().unwrap();
    let said = theirs(kind, &scratch.path().join("variables.fd")).unwrap();
    eprintln!("QEMU's:\n{said}");
    let (theirs, passed) = findings(&said);
    assert!(
        passed > 50,
        "the suite did not run on QEMU's machine: {said}"
    );
    let more: Vec<&String> = ours
        .iter()
        .filter(|(name, _)| !theirs.contains_key(*name))
        .map(|(_, line)| line)
        .collect();
    assert!(more.is_empty(), "{more:#?}");
}
