//! What a Debian on a disk measures from the inside, on machines of generation 2 with virtio and on QEMU's q35 with the same firmware:
//! its start, its disks by fio, and its network, that of the engine's NAT beside QEMU's user network and passt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use guesthouse_engine::definition::ImageFormat;
use guesthouse_engine::disk::create_disk;
use guesthouse_engine::network::SWITCHES_FILE;
use guesthouse_tests::bench::program::{Machines, Running, add_uefi, beside, qemu};
use guesthouse_tests::bench::{Harness, Needs, Quantity, Unit, less, more, subject};
use guesthouse_tests::media::gathered;
use guesthouse_tests::x_server::Background;

use crate::traffic::{self, Work};

const MEMORY: u64 = 1024;
/// In the nested rig guests with two of them stood still for minutes, ours and QEMU's; why is not known.
const PROCESSORS: &str = "1";
/// The nested rig's host may be busy with other things.
const LIMIT: Duration = Duration::from_secs(3600);
/// Bytes of a disk that is measured.
const SIZE: u64 = 256 << 20;
const FORMATS: [(ImageFormat, &str, &str); 2] = [
    (ImageFormat::Raw, "raw", "/dev/vdb"),
    (ImageFormat::Qcow2, "qcow2", "/dev/vdc"),
];
/// What fio does to a disk: the row's name, and its arguments.
const LOADS: [(&str, &str); 4] = [
    (
        "4 KiB reads all over, 32 at once",
        "--rw=randread --bs=4k --iodepth=32",
    ),
    (
        "4 KiB writes all over, 32 at once",
        "--rw=randwrite --bs=4k --iodepth=32",
    ),
    (
        "4 KiB reads all over, 1 at once",
        "--rw=randread --bs=4k --iodepth=1",
    ),
    (
        "1 MiB reads in order, 4 at once",
        "--rw=read --bs=1m --iodepth=4",
    ),
];
/// Bytes that go each way by the network, if that takes no longer than [`traffic::LONGEST`].
const MUCH: usize = 64 << 20;
/// Bytes that the guest's program hands over or takes at a time, as those do that move much.
const PIECE: usize = 128 << 10;
/// Questions that are answered one after the other.
const TURNS: usize = 1000;

/// The disks of one subject: the system and those that are measured.
struct Disks {
    folder: PathBuf,
}

impl Disks {
    /// Made when they are first asked for: nothing is copied for rows that are only listed, or left to the rig.
    fn of(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        if folder.exists() {
            return Ok(Self { folder });
        }
        fs::create_dir(&folder)?;
        fs::copy(
            gathered("debian-desktop.qcow2"),
            folder.join("system.qcow2"),
        )?;
        for (format, name, _) in FORMATS {
            create_disk(&folder.join(name), format, SIZE)?;
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Ours, whose library is in the same folder.
    fn machine(&self) -> anyhow::Result<Machines> {
        let library = self.folder.join("machines");
        let machines = Machines::new(&library);
        if library.exists() {
            return Ok(machines);
        }
        let (system, memory) = (self.path("system.qcow2"), format!("{MEMORY}M"));
        let options = [
            "--generation",
            "2",
            "--disk",
            &system,
            "--cpus",
            PROCESSORS,
            "--memory",
            &memory,
            "--card",
            "virtio",
        ];
        machines.create("debian", &options)?;
        let mut described = fs::read_to_string(library.join("debian/machine.toml"))?;
        described = described.replace("bus = \"sata\"\nfile", "bus = \"virtio\"\nfile");
        for (_, name, _) in FORMATS {
            described += &format!(
                "\n[[drive]]\nkind = \"disk\"\nbus = \"virtio\"\nfile = \"{}\"\nformat = \"{name}\"\n",
                self.path(name)
            );
        }
        fs::write(library.join("debian/machine.toml"), described)?;
        let switches = "[[switch]]\nname = \"nat\"\nkind = \"nat\"\nhost_loopback = true\n";
        fs::write(library.join(SWITCHES_FILE), switches)?;
        Ok(machines)
    }

    /// QEMU with the same, and that network.
    fn qemu(&self, network: &str) -> anyhow::Result<Command> {
        let mut command = qemu("q35", MEMORY);
        command.args(["-smp", PROCESSORS, "-vga", "std"]);
        add_uefi(&mut command, &self.folder.join("variables"))?;
        let disks = [
            ("system.qcow2", "qcow2"),
            ("raw", "raw"),
            ("qcow2", "qcow2"),
        ];
        for (number, (name, format)) in disks.into_iter().enumerate() {
            let file = self.path(name);
            command.args([
                "-drive",
                &format!("file={file},format={format},if=none,id=disk{number},discard=unmap"),
                "-device",
                &format!("virtio-blk-pci,drive=disk{number}"),
            ]);
        }
        command.args(["-netdev", network, "-device", "virtio-net-pci,netdev=net"]);
        Ok(command)
    }
}

/// How often the processors of a process's machine have left the guest, as the host's KVM counts.
fn exits(running: &Running) -> anyhow::Result<f64> {
    let folder = Path::new("/sys/kernel/debug/kvm");
    if !folder.exists() {
        let mount = ["-t", "debugfs", "debugfs", "/sys/kernel/debug"];
        let mounted = Command::new("mount").args(mount).status()?;
        ensure!(mounted.success(), "KVM's counters need root");
    }
    // A machine is counted under the number of the thread that made it.
    let task = PathBuf::from(format!("/proc/{}/task", running.id()));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((thread, _)) = name.split_once('-')
            && task.join(thread).exists()
        {
            let count = fs::read_to_string(entry.path().join("exits"))?;
            return Ok(count.trim().parse()?);
        }
    }
    anyhow::bail!("KVM counts nothing for process {}", running.id())
}

/// One round of fio, in requests a second, and the exits that a request cost.
fn fio(running: &mut Running, device: &str, load: &str) -> anyhow::Result<(f64, f64)> {
    let before = exits(running)?;
    let said = running.shell(
        &format!(
            "fio --name=measure --filename={device} --direct=1 --ioengine=libaio --size=100% --runtime=10 --time_based {load} --minimal \
             --norandommap --randrepeat=1 2>/dev/null | cut -d';' -f7,8,48,49"
        ),
        LIMIT,
    )?;
    let after = exits(running)?;
    let line = said.trim().lines().last().unwrap_or_default();
    let numbers: Vec<f64> = line
        .split(';')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("fio said {said}"))?;
    ensure!(numbers.len() == 4, "fio said {said}");
    let a_second = numbers[1] + numbers[3];
    Ok((a_second, (after - before) / (10.0 * a_second).max(1.0)))
}

/// The rows of the disks: requests a second for each format and load, then exits for a request of the first load.
const ROWS: usize = 2 * LOADS.len() + 3;

fn rows() -> [Quantity; ROWS] {
    let mut rows = vec![less(
        "start to Debian's login, from a disk by UEFI",
        Unit::Seconds,
    )];
    for (_, format, _) in FORMATS {
        for (name, _) in LOADS {
            rows.push(more(
                format!("guest's disk, {format}: {name}"),
                Unit::PerSecond,
            ));
        }
    }
    for (_, format, _) in FORMATS {
        rows.push(less(
            format!("guest's disk, {format}: exits for a 4 KiB read, 32 at once"),
            Unit::Count,
        ));
    }
    rows.try_into()
        .unwrap_or_else(|_| unreachable!("as many as are made here"))
}

fn disks(command: anyhow::Result<Command>) -> anyhow::Result<[f64; ROWS]> {
    let mut running = Running::start(command?)?;
    let login = running.wait_for("login: ", LIMIT)?;
    running.log_in(LIMIT)?;
    let (mut values, mut exits) = (vec![login.as_secs_f64()], Vec::new());
    for (_, _, device) in FORMATS {
        // Each part of the disk is there before it is measured. At its end this fails, as it must.
        running
            .shell(
                &format!("dd if=/dev/urandom of={device} bs=1M oflag=direct 2>/dev/null; sync"),
                LIMIT,
            )
            .ok();
        for (number, (_, load)) in LOADS.into_iter().enumerate() {
            let (a_second, cost) = fio(&mut running, device, load)?;
            values.push(a_second);
            if number == 0 {
                exits.push(cost);
            }
        }
    }
    values.extend(exits);
    Ok(values
        .try_into()
        .unwrap_or_else(|_| unreachable!("a value for each row")))
}

/// MiB a second to the guest and from it, and questions answered in a second.
fn network(command: anyhow::Result<Command>) -> anyhow::Result<[f64; 3]> {
    let mut running = Running::start(command?)?;
    running.log_in(LIMIT)?;
    running.shell(
        "card=$(ls /sys/class/net | grep -v lo); ip link set $card up; ip address add 10.0.2.15/24 dev $card; \
         ip route add default via 10.0.2.2; for turn in $(seq 60); do grep -q 1 /sys/class/net/$card/carrier && break; sleep 1; done",
        LIMIT,
    )?;
    let mut run = |work: Work, command: &dyn Fn(u16) -> String| {
        let (port, served) = traffic::serve(work, MUCH)?;
        // It is cut off where it takes long.
        let command = format!("( {} ) || true", command(port));
        running.shell(&command, traffic::LONGEST + 3 * traffic::SILENCE)?;
        let rate = served
            .join()
            .map_err(|_| anyhow::anyhow!("the server's thread is gone"))??;
        anyhow::Ok(rate)
    };
    let mebibytes = f64::from(1 << 20);
    let to = run(traffic::send, &|port| {
        format!("dd of=/dev/null bs={PIECE} </dev/tcp/10.0.2.2/{port} 2>/dev/null")
    })?;
    let from = run(traffic::receive, &|port| {
        let pieces = MUCH / PIECE;
        format!("dd if=/dev/zero bs={PIECE} count={pieces} >/dev/tcp/10.0.2.2/{port} 2>/dev/null")
    })?;
    let turns = run(traffic::answer, &|port| {
        format!(
            "exec 3<>/dev/tcp/10.0.2.2/{port}; for turn in $(seq {TURNS}); do echo $turn >&3; read -r -u 3 answer; done; exec 3>&-"
        )
    })?;
    Ok([to / mebibytes, from / mebibytes, turns])
}

/// passt, at that socket.
fn passt(socket: &Path) -> anyhow::Result<Background> {
    let _ = fs::remove_file(socket);
    let mut command = Command::new("passt");
    command
        .args(["--foreground", "--quiet", "--runas", "0", "--socket"])
        .arg(socket)
        .args(["-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "-4"]);
    let program = beside(&mut command)?;
    for _ in 0..100 {
        if socket.exists() {
            return Ok(program);
        }
        thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("passt made no socket")
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let networks = [
        more("guest's network: to the guest", Unit::MebibytesPerSecond),
        more("guest's network: from the guest", Unit::MebibytesPerSecond),
        more("guest's network: answers of one byte", Unit::PerSecond),
    ];
    let rows = rows();
    if !harness.wants(&networks) && !harness.wants(&rows) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let user = "user,id=net";
    let ours = || Disks::of(scratch.path(), "ours")?.machine()?.run("debian");
    let theirs = |network: &str| Disks::of(scratch.path(), "theirs")?.qemu(network);
    harness.measure(
        Needs::HardwareVirtualization,
        rows,
        2,
        vec![
            subject("Guesthouse", || disks(ours())),
            subject("QEMU q35", || disks(theirs(user))),
        ],
    );
    let socket = scratch.path().join("passt");
    let stream = format!(
        "stream,id=net,server=off,addr.type=unix,addr.path={}",
        socket.display()
    );
    harness.measure(
        Needs::HardwareVirtualization,
        networks,
        2,
        vec![
            subject("Guesthouse", || network(ours())),
            subject("QEMU q35, user network", || network(theirs(user))),
            subject("QEMU q35, passt", || {
                let _passt = passt(&socket)?;
                network(theirs(&stream))
            }),
        ],
    );
}
