//! From the start of the program to the login of a Linux in memory: the same kernel, initramfs and disk for each.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use guesthouse_tests::bench::program::{Machines, Running, qemu};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, subject};
use guesthouse_tests::media::gathered;

const MEMORY: u64 = 512;
/// The nested rig's host may be busy with other things.
const LIMIT: Duration = Duration::from_secs(900);

/// Waits for the first program and for the login; also the memory beyond the guest's at that moment.
fn login(running: anyhow::Result<Running>) -> anyhow::Result<[f64; 4]> {
    let running = running?;
    let userland = running.wait_for("Userland reached.", LIMIT)?;
    let login = running.wait_for("guest login: ", LIMIT)?;
    let (resident, private) = running.memory_beyond_guest(MEMORY)?;
    Ok([
        userland.as_secs_f64(),
        login.as_secs_f64(),
        resident,
        private,
    ])
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let quantities = [
        less("start to Linux's userland, from a CD", Unit::Seconds),
        less("start to Linux's login, from a CD", Unit::Seconds),
        less(
            "memory beyond the guest's, at Linux's login",
            Unit::Kibibytes,
        ),
        less(
            "memory beyond the guest's, not shared, at Linux's login",
            Unit::Kibibytes,
        ),
    ];
    if !harness.wants(&quantities) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let machines = Machines::new(&scratch.path().join("machines"));
    let disk = scratch.path().join("disk.raw");
    File::create(&disk).unwrap().set_len(1 << 30).unwrap();
    let medium = gathered("linux.iso");
    let (memory, path) = (format!("{MEMORY}M"), |path: &Path| {
        path.display().to_string()
    });
    let (disk, medium) = (path(&disk), path(&medium));
    let options = [
        "--iso", &medium, "--disk", &disk, "--cpus", "1", "--memory", &memory,
    ];
    machines.create("linux", &options).unwrap();
    let pc = || {
        let mut command = qemu("pc", MEMORY);
        command.args(["-vga", "std", "-cdrom", &medium, "-boot", "d"]);
        command.args(["-drive", &format!("file={disk},format=raw,if=ide,index=0")]);
        Running::start(command)
    };
    let microvm = || {
        let mut command = qemu("microvm", MEMORY);
        command.arg("-kernel").arg(gathered("linux-kernel"));
        command.arg("-initrd").arg(gathered("linux-initramfs"));
        command.args(["-append", "console=ttyS0,115200"]);
        command.args(["-drive", &format!("file={disk},format=raw,if=none,id=disk")]);
        command.args(["-device", "virtio-blk-device,drive=disk"]);
        Running::start(command)
    };
    harness.measure(
        Needs::HardwareVirtualization,
        quantities,
        3,
        vec![
            subject("Guesthouse", || {
                login(Running::start(machines.run("linux")?))
            }),
            subject("QEMU pc", || login(pc())),
            subject("QEMU microvm, kernel by -kernel", || login(microvm())),
        ],
    );
}
