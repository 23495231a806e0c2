//! The NAT by itself, at the host's speed: its guest is the host's own kernel, in a network namespace whose only card is a tap device,
//! and the NAT is at the device's other end. Beside it QEMU's user network and pasta (passt at a tap device) at the same device.
//!
//! The program calls itself for this: once in namespaces of its own, where it is the host, and from there in the guest's.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use guesthouse_engine::network::nat::{DEFAULT_NETWORK, Nat, Options, Plan};
use guesthouse_engine::network::{Connected, Switch, Uplink};
use guesthouse_tests::bench::program::beside;
use guesthouse_tests::bench::{Harness, Needs, Unit, more, subject};

use crate::traffic::{self, Work};

/// Tells the program which part it has: a subject's name, or what the guest does.
const PART: &str = "GUESTHOUSE_BENCH_NAT";
const DEVICE: &str = "nat0";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Bytes that go each way.
const MUCH: usize = 1 << 30;
/// Bytes that the guest's program hands over or takes at a time.
const PIECE: usize = 128 << 10;
/// Questions that are answered one after the other.
const TURNS: usize = 10_000;
/// pasta looks for a way out before it does anything.
const HOST: &str = "mount -t sysfs sysfs /sys; ip link set lo up; ip link add out type bridge; ip address add 192.0.2.1/24 dev out; \
                    ip link set out up; ip route add default via 192.0.2.254; exec \"$@\"";
const GUEST: &str = "ip link set lo up; ip link set nat0 up; ip address replace 10.0.2.15/24 dev nat0; ip route replace default via 10.0.2.2";

/// The part of this program that another one of it asked for, if it did.
pub fn part() -> Option<ExitCode> {
    let part = env::var(PART).ok()?;
    let done = match part.split_once(' ') {
        Some((deed, port)) => port
            .parse()
            .context("a port")
            .and_then(|port| be_guest(deed, port)),
        None => be_host(&part),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    })
}

/// What the guest does at that port of the host.
fn be_guest(deed: &str, port: u16) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(SocketAddr::new(GATEWAY.into(), port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(traffic::SILENCE))?;
    let mut piece = vec![0x5a; PIECE];
    match deed {
        "take" => while stream.read(&mut piece)? > 0 {},
        "give" => {
            for _ in 0..MUCH / PIECE {
                match stream.write_all(&piece) {
                    // Through a slow network the host takes less, and says so if that was too little.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                        ) =>
                    {
                        break;
                    }
                    sent => sent?,
                }
            }
        }
        _ => {
            for _ in 0..TURNS {
                stream.write_all(b"?")?;
                stream.read_exact(&mut [0])?;
            }
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..200 {
        if done() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("{what} did not come")
}

/// A command in the guest's network.
fn inside(guest: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &guest.to_string()]);
    command
}

/// The tap device, made in the host's network; it is the guest's once somebody has opened it.
fn add_device() -> anyhow::Result<()> {
    run(Command::new("ip").args(["tuntap", "add", DEVICE, "mode", "tap"]))
}

fn give_device(guest: u32) -> anyhow::Result<()> {
    run(Command::new("ip").args(["link", "set", DEVICE, "netns", &guest.to_string()]))
}

/// Makes a guest and the network that is measured, and tells what goes through it.
fn be_host(name: &str) -> anyhow::Result<()> {
    let guest = beside(Command::new("unshare").args(["--net", "sleep", "3600"]))?;
    let id = guest.0.id();
    let network = |id: &str| std::fs::read_link(format!("/proc/{id}/ns/net")).ok();
    until("the guest's network", || {
        network(&id.to_string()) != network("self")
    })?;
    // Each lives as long as this function.
    let (mut ours, mut theirs) = (None, None);
    match name {
        "guesthouse" => {
            let switch = Switch::new();
            let mut plan = Plan::new(DEFAULT_NETWORK, true);
            plan.host_loopback = true;
            let nat = Nat::start(&switch, Options::new(plan))?;
            add_device()?;
            let connected = Connected::start(&switch, &Uplink::Tap(DEVICE.to_owned()))?;
            give_device(id)?;
            ours = Some((nat, connected));
        }
        "qemu" => {
            add_device()?;
            let tap = format!("tap,id=tap,ifname={DEVICE},script=no,downscript=no,vhost=off");
            let mut command = Command::new("qemu-system-x86_64");
            command.args(["-machine", "none", "-nodefaults", "-display", "none"]);
            command.args(["-netdev", "user,id=user", "-netdev", &tap]);
            for port in ["user", "tap"] {
                let hub = format!("hubport,hubid=0,id=port-{port},netdev={port}");
                command.args(["-netdev", &hub]);
            }
            let program = beside(&mut command)?;
            let files = format!("/proc/{}/fdinfo", program.0.id());
            until("QEMU's device", || {
                let mut files = std::fs::read_dir(&files).into_iter().flatten().flatten();
                files.any(|file| {
                    std::fs::read_to_string(file.path())
                        .is_ok_and(|text| text.contains(&format!("iff:\t{DEVICE}")))
                })
            })?;
            give_device(id)?;
            theirs = Some(program);
        }
        _ => {
            let mut command = Command::new("pasta");
            command
                .args([
                    "--foreground",
                    "--quiet",
                    "--runas",
                    "0",
                    "--netns-only",
                    "-4",
                ])
                .args(["-a", "10.0.2.15", "-n", "24", "-g", &GATEWAY.to_string()])
                .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
                .args(["--config-net", "--ns-ifname", DEVICE, "--netns"])
                .arg(format!("/proc/{id}/ns/net"));
            theirs = Some(beside(&mut command)?);
            until("pasta's device", || {
                let mut look = inside(id);
                look.args(["ip", "link", "show", DEVICE]);
                look.output().is_ok_and(|output| output.status.success())
            })?;
        }
    }
    run(inside(id).args(["sh", "-ec", GUEST]))?;
    let parts: [(&str, Work); 3] = [
        ("take", traffic::send),
        ("give", traffic::receive),
        ("ask", traffic::answer),
    ];
    for (deed, work) in parts {
        let (port, served) = traffic::serve(work, MUCH)?;
        run(inside(id)
            .arg(env::current_exe()?)
            .env(PART, format!("{deed} {port}")))?;
        let rate = served
            .join()
            .map_err(|_| anyhow::anyhow!("the server's thread is gone"))??;
        writeln!(std::io::stdout(), "{rate}")?;
    }
    drop((ours, theirs));
    Ok(())
}

/// MiB a second to the guest and from it, and questions answered in a second.
fn measure_part(name: &str) -> anyhow::Result<[f64; 3]> {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec"])
        .args([HOST, "sh"])
        .arg(env::current_exe()?)
        .env(PART, name)
        .output()
        .context("unshare")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let values = String::from_utf8_lossy(&output.stdout);
    let values: Vec<f64> = values
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("its values")?;
    let [to, from, turns] = values[..] else {
        bail!("{} values: {said}", values.len());
    };
    let mebibytes = f64::from(1 << 20);
    Ok([to / mebibytes, from / mebibytes, turns])
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    harness.measure(
        Needs::Nothing,
        [
            more("NAT by itself: to the guest", Unit::MebibytesPerSecond),
            more("NAT by itself: from the guest", Unit::MebibytesPerSecond),
            more("NAT by itself: answers of one byte", Unit::PerSecond),
        ],
        5,
        vec![
            subject("Guesthouse", || measure_part("guesthouse")),
            subject("QEMU, user network", || measure_part("qemu")),
            subject("pasta", || measure_part("pasta")),
        ],
    );
}
