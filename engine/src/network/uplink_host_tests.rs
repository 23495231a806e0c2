//! External switches on the kernel's own devices: in namespaces of the test's own, in which it may make them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::uplink::{Connected, Uplink};
use super::{Cable, Frame, Switch};

/// Names the uplink to the test inside of its namespaces.
const INSIDE: &str = "GUESTHOUSE_TEST_UPLINK";
const NAME: &str = "network::uplink_host_tests::the_kernels_devices_carry_frames_both_ways";
const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const CARD: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// What else a kernel says on a network of its own, before it answers.
const NOISE: usize = 1000;

/// The uplinks, what makes their devices, and what must be installed for it.
const UPLINKS: [(&str, &str, Option<&str>); 2] = [
    (
        "tap:ghtap0",
        "ip tuntap add ghtap0 mode tap; ip address add 10.77.0.1/24 dev ghtap0; ip link set ghtap0 up",
        None,
    ),
    (
        "bridge:ghbr0",
        "ip link add ghbr0 type bridge; ip address add 10.77.0.1/24 dev ghbr0; ip link set ghbr0 up; \
         mount -t tmpfs tmpfs /etc; mkdir /etc/qemu; echo allow ghbr0 >/etc/qemu/bridge.conf",
        Some("/usr/lib/qemu/qemu-bridge-helper"),
    ),
];

/// A command in namespaces of its own, with the devices that `arrange` makes.
fn inside(arrange: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c"]);
    command.arg(format!(
        "set -e; mount -t sysfs sysfs /sys; {arrange}; exec \"$@\""
    ));
    command.arg("sh");
    command
}

#[test]
fn the_kernels_devices_carry_frames_both_ways() {
    if let Ok(uplink) = std::env::var(INSIDE) {
        return ask_the_kernel(&uplink.parse().unwrap());
    }
    let allowed = inside("true").arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("this host gives no namespaces, in which devices could be made");
        return;
    }
    for (uplink, arrange, needs) in UPLINKS {
        if needs.is_some_and(|file| !Path::new(file).exists()) {
            eprintln!("{uplink} needs {needs:?}");
            continue;
        }
        let mut again = inside(arrange);
        again.arg(std::env::current_exe().unwrap());
        again.args(["--exact", NAME, "--nocapture"]);
        let output = again.env(INSIDE, uplink).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{uplink}: {said}"
        );
    }
}

/// The frame of an ethernet type from the guest's card.
fn frame(to: [u8; 6], kind: u16, content: &[u8]) -> Frame {
    let mut data = [&to[..], &CARD, &kind.to_be_bytes(), content].concat();
    data.resize(data.len().max(60), 0);
    Frame::copy_of(&data).unwrap()
}

/// The sum that the Internet's headers carry.
fn checksum(data: &[u8]) -> [u8; 2] {
    let mut sum = 0_u32;
    for pair in data.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

/// The answer to `question`, the next frame of the same ethernet type. It is asked again, as systems do: a kernel that has only just seen
/// that its device is connected throws answers away for a moment.
fn answer(cable: &Cable, question: impl Fn() -> Frame) -> Vec<u8> {
    let kind = question().data()[12..14].to_vec();
    cable.send(question());
    let mut asked = 1;
    for _ in 0..NOISE {
        match cable.receive() {
            Some(frame) if frame.data()[12..14] == kind => return frame.data().to_vec(),
            Some(_) => {}
            None if asked == 60 => break,
            None => {
                if !cable.bell().wait(Some(Duration::from_secs(1))) {
                    cable.send(question());
                    asked += 1;
                }
            }
        }
    }
    panic!("nothing of the kind {kind:?} came");
}

/// Asks for the host's hardware address, and sends it an echo request.
fn ask_the_kernel(uplink: &Uplink) {
    let switch = Switch::new();
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    let connected = Connected::start(&switch, uplink).unwrap();

    let question = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &CARD,
        &GUEST.octets(),
        &[0; 6],
        &HOST.octets(),
    ];
    let heard = answer(&cable, || frame([0xff; 6], 0x0806, &question.concat()));
    assert_eq!(heard[20..22], [0, 2], "an answer");
    assert_eq!(heard[28..32], HOST.octets());
    let hardware: [u8; 6] = heard[22..28].try_into().unwrap();

    let mut echo = [&[8, 0, 0, 0, 0x47, 0x68, 0, 1][..], b"Is there anybody?"].concat();
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum);
    let length = u16::try_from(20 + echo.len()).unwrap().to_be_bytes();
    let mut header = [
        &[0x45, 0][..],
        &length,
        &[0, 1, 0, 0, 64, 1, 0, 0],
        &GUEST.octets(),
        &HOST.octets(),
    ]
    .concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    let packet = [header, echo].concat();
    let heard = answer(&cable, || frame(hardware, 0x0800, &packet));
    assert_eq!(heard[26..30], HOST.octets());
    assert_eq!((heard[34], &heard[38..42]), (0, &[0x47, 0x68, 0, 1][..]));
    assert!(heard[42..].starts_with(b"Is there anybody?"));
    drop(connected);
    assert_eq!(switch.ports(), 1);
}
