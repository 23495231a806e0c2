//! The way from an external switch to the host's network: a tap device that the user owns, or one that the distribution's bridge
//! helper (QEMU's `qemu-bridge-helper`) hands over at a bridge that the administrator has allowed in `/etc/qemu/bridge.conf`.
//! Nothing of the host is changed here, and nothing needs root.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::{Deserialize, Serialize};

use super::frame::{MAX_FRAME, Offload, SegmentKind, VIRTIO_HEADER};
use super::{Bell, Buffer, Frame, Port, Segments, Sent, Switch};
use crate::hypervisor::Tap;

/// Where the kernel tells of network devices.
const DEVICES: &str = "/sys/class/net";
/// Where distributions put the bridge helper.
const HELPERS: [&str; 4] = [
    "/usr/lib/qemu/qemu-bridge-helper",
    "/usr/libexec/qemu-bridge-helper",
    "/usr/lib/qemu-bridge-helper",
    "/usr/local/libexec/qemu-bridge-helper",
];
/// Where the administrator says which bridges users may use.
const RULES: &str = "/etc/qemu/bridge.conf";
/// How many frames are taken from one side before the other has its turn.
const TURN: usize = 256;
/// How often a frame is tried again for which there was no room: that of a machine that stands still is lost after a while, and holds
/// nobody else's up.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// What of the host an external switch is connected with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uplink {
    /// The tap device of this name, which the user may use.
    Tap(String),
    /// The bridge of this name, through the bridge helper.
    Bridge(String),
}

impl Uplink {
    /// The device's name.
    pub fn device(&self) -> &str {
        match self {
            Self::Tap(name) | Self::Bridge(name) => name,
        }
    }
}

impl std::fmt::Display for Uplink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tap(name) => write!(formatter, "tap:{name}"),
            Self::Bridge(name) => write!(formatter, "bridge:{name}"),
        }
    }
}

/// The text names no uplink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no uplink; write tap:NAME or bridge:NAME, as in bridge:br0")]
pub struct NotAnUplink(String);

impl std::str::FromStr for Uplink {
    type Err = NotAnUplink;
    fn from_str(text: &str) -> Result<Self, NotAnUplink> {
        let known = |name: &str| !name.is_empty() && name.len() < 16 && !name.contains('/');
        match text.split_once(':') {
            Some(("tap", name)) if known(name) => Ok(Self::Tap(name.to_owned())),
            Some(("bridge", name)) if known(name) => Ok(Self::Bridge(name.to_owned())),
            _ => Err(NotAnUplink(text.to_owned())),
        }
    }
}

/// What this host lets the user connect with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplinks {
    /// Those that can be had, as far as can be seen from here.
    pub possible: Vec<Uplink>,
    /// Why there are none, with what to do about it.
    pub reason: Option<String>,
}

impl Uplinks {
    /// Looks at the host.
    pub fn of_host() -> Self {
        let helper = helper();
        let rules = fs::read_to_string(RULES).ok();
        let possible = possible(Path::new(DEVICES), helper.is_some(), rules.as_deref());
        let reason = possible.is_empty().then(|| {
            if !Path::new("/dev/net/tun").exists() {
                "This host has no tap devices (/dev/net/tun is missing); load the module tun, or run Guesthouse outside of its sandbox.".to_owned()
            } else if helper.is_none() {
                "There is neither a tap device of yours nor the bridge helper; have the administrator make one (ip tuntap add tap0 mode tap user NAME, attached to a bridge) or install qemu-bridge-helper and allow a bridge in /etc/qemu/bridge.conf.".to_owned()
            } else {
                format!("No bridge is allowed and no tap device is yours; have the administrator make a bridge and add a line such as \"allow br0\" to {RULES}.")
            }
        });
        Self { possible, reason }
    }
}

fn helper() -> Option<PathBuf> {
    let places = HELPERS.iter().map(PathBuf::from);
    places.into_iter().find(|path| path.is_file())
}

/// The devices below `devices` that this user can connect with. `rules` are those of the bridge helper; one that cannot be read
/// may allow anything.
fn possible(devices: &Path, helper: bool, rules: Option<&str>) -> Vec<Uplink> {
    let Ok(entries) = fs::read_dir(devices) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if may_use_tap(&path) {
            found.push(Uplink::Tap(name));
        } else if helper && path.join("bridge").is_dir() && allows(rules, &name) {
            found.push(Uplink::Bridge(name));
        }
    }
    found.sort_by_key(ToString::to_string);
    found
}

/// Whether the device at `path` is a tap device that this user may open.
fn may_use_tap(path: &Path) -> bool {
    let number = |file: &str| {
        let text = fs::read_to_string(path.join(file)).ok()?;
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    const TAP: i64 = 2;
    if number("tun_flags").is_none_or(|flags| flags & TAP == 0) {
        return false;
    }
    let user = rustix::process::geteuid();
    if user.is_root() {
        return true;
    }
    let (owner, group) = (number("owner").unwrap_or(-1), number("group").unwrap_or(-1));
    let own_groups = rustix::process::getgroups().unwrap_or_default();
    let in_group = group == i64::from(rustix::process::getegid().as_raw())
        || own_groups
            .iter()
            .any(|own| group == i64::from(own.as_raw()));
    (owner == -1 || owner == i64::from(user.as_raw())) && (group == -1 || in_group)
}

/// Whether the helper's rules allow `bridge`: the first that speaks of it counts.
fn allows(rules: Option<&str>, bridge: &str) -> bool {
    let Some(rules) = rules else { return true };
    let mut included = false;
    for line in rules.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("deny"), Some(name)) if name == bridge || name == "all" => return false,
            (Some("allow"), Some(name)) if name == bridge || name == "all" => return true,
            (Some("include"), Some(_)) => included = true,
            _ => {}
        }
    }
    // What it includes may not be readable.
    included
}

/// Connects with `uplink`.
fn open(uplink: &Uplink) -> io::Result<File> {
    let tap = match uplink {
        Uplink::Tap(name) => {
            // The kernel makes a device for an administrator who names one that is not there.
            if !Path::new(DEVICES).join(name).join("tun_flags").exists() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("there is no tap device called {name}"),
                ));
            }
            Tap::open(name, VIRTIO_HEADER)?
        }
        Uplink::Bridge(name) => {
            let helper = helper().ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    "qemu-bridge-helper is not installed",
                )
            })?;
            Tap::from_descriptor(ask_helper(&helper, name)?, VIRTIO_HEADER)?
        }
    };
    Ok(tap.into_file())
}

/// Has the bridge helper open a tap device at `bridge`: it is sent over the socket that is the helper's standard input.
fn ask_helper(helper: &Path, bridge: &str) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(helper)
        .args(["--use-vnet", "--fd=0", &format!("--br={bridge}")])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let received = receive_descriptor(&ours);
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(4096).read_to_string(&mut said);
    }
    let status = child.wait()?;
    match received? {
        Some(descriptor) if status.success() => Ok(descriptor),
        _ => Err(io::Error::other(match said.trim() {
            "" => format!("the bridge helper ended with {status}"),
            said => format!("the bridge helper says: {said}"),
        })),
    }
}

/// The file that comes over `socket`; nothing if the other end is closed before.
fn receive_descriptor(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(descriptors.next())
}

/// The connection of a switch with the host's network. It ends when this is dropped.
pub struct Connected {
    bell: Arc<Bell>,
    quit: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Connected {
    /// Connects `switch` with `uplink`.
    ///
    /// # Errors
    /// What the host says against it.
    pub fn start(switch: &Arc<Switch>, uplink: &Uplink) -> io::Result<Self> {
        Self::pass(switch, open(uplink)?, VIRTIO_HEADER)
    }

    /// Passes frames between `switch` and `file`, each with `header` bytes before it there (none for what is no tap device).
    fn pass(switch: &Arc<Switch>, file: File, header: usize) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let quit = Arc::<AtomicBool>::default();
        let file = Arc::new(file);
        let station = Arc::new(Mutex::new(Station {
            port: switch.connect(Arc::clone(&bell)),
            file: Arc::clone(&file),
            header,
            held: None,
        }));
        bell.appoint(&station, |station| !station.take_from_switch());
        let thread = thread::Builder::new().name("uplink".to_owned()).spawn({
            let (bell, quit) = (Arc::clone(&bell), Arc::clone(&quit));
            move || run(&station, &file, &bell, &quit)
        })?;
        Ok(Self {
            bell,
            quit,
            thread: Some(thread),
        })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.bell.dismiss();
        self.quit.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread works with, and those who stand in for it while it waits.
struct Station {
    port: Port,
    file: Arc<File>,
    header: usize,
    /// A frame from the host for which there was no room.
    held: Option<Frame>,
}

fn run(station: &Mutex<Station>, file: &File, bell: &Bell, quit: &AtomicBool) {
    let mut holds = false;
    loop {
        let wanted = if holds {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let mut waiting = [PollFd::new(bell, PollFlags::IN), PollFd::new(file, wanted)];
        let patience = holds.then_some(RETRY);
        match poll(&mut waiting, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "an uplink cannot wait any more");
                return;
            }
        }
        let [rung, device] = waiting.map(|one| one.revents());
        let gone = device.intersects(PollFlags::ERR | PollFlags::HUP);
        if quit.load(Ordering::Acquire) {
            return;
        }
        // Only when it was rung, which saves a call of the kernel.
        if !rung.is_empty() {
            bell.silence();
        }
        let mut station = station.lock();
        let more = station.take_from_switch();
        if !station.take_from_host() || gone {
            tracing::warn!("the device of an external switch is gone; attach the cards anew");
            return;
        }
        holds = station.held.is_some();
        if more {
            bell.ring();
        }
    }
}

impl Station {
    /// Says whether there may be more.
    fn take_from_switch(&mut self) -> bool {
        for _ in 0..TURN {
            let Some(frame) = self.port.receive() else {
                return false;
            };
            let cut = frame.offload().segmentation;
            if self.header == 0 || cut.is_some_and(|cut| cut.kind == SegmentKind::Udp) {
                for frame in Segments::frames(frame) {
                    self.write(&frame);
                }
            } else {
                self.write(&frame);
            }
        }
        true
    }

    fn write(&mut self, frame: &Frame) {
        let data = frame.data();
        let written = if self.header == 0 {
            (&*self.file).write(data)
        } else {
            let header = frame.offload().to_virtio(data, 0);
            (&*self.file).write_vectored(&[IoSlice::new(&header), IoSlice::new(data)])
        };
        // A device that is down or full loses frames, as networks do.
        if let Err(error) = written {
            tracing::trace!(%error, "a frame to the host was lost");
        }
    }

    /// Says whether the device is there.
    fn take_from_host(&mut self) -> bool {
        for _ in 0..TURN {
            if let Some(frame) = self.held.take()
                && let Sent::Full(frame) = self.port.send(frame)
            {
                self.held = Some(frame);
                return true;
            }
            let mut buffer = Buffer::new(MAX_FRAME);
            let mut header = [0; VIRTIO_HEADER];
            let read = if self.header == 0 {
                (&*self.file).read(&mut buffer)
            } else {
                let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut buffer)];
                (&*self.file).read_vectored(&mut parts)
            };
            let length = match read {
                Ok(0) => return false,
                Ok(length) => length.saturating_sub(self.header),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::debug!(%error, "the device of an external switch cannot be read");
                    // A device that is down comes back.
                    return error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
                }
            };
            let offload = if self.header == 0 {
                Some(Offload::default())
            } else {
                Offload::from_virtio(&header)
            };
            self.held = offload.and_then(|offload| Frame::new(buffer.freeze(length), offload));
        }
        // The file is still readable: the next wait ends at once.
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::super::Cable;
    use super::super::port::MOST_FRAMES;
    use super::*;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        let mut data = vec![0; 60];
        data[..6].copy_from_slice(&[2, 0, 0, 0, 0, to]);
        data[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
        data
    }

    /// The next frame that comes.
    fn heard_by(cable: &Cable) -> Frame {
        loop {
            if let Some(frame) = cable.receive() {
                return frame;
            }
            let rung = cable.bell().wait(Some(Duration::from_secs(60)));
            assert!(rung, "no frame came within a minute");
        }
    }

    #[test]
    fn frames_go_both_ways_until_it_is_dropped() {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let switch = Switch::new();
        let cable = Cable::new().unwrap();
        cable.plug(&switch);
        let connected = Connected::pass(&switch, File::from(theirs), 0).unwrap();
        rustix::io::write(&ours, &frame(1, 9)).unwrap();
        assert_eq!(heard_by(&cable).data()[..], frame(1, 9));
        cable.send(Frame::copy_of(&frame(9, 1)).unwrap());
        poll(&mut [PollFd::new(&ours, PollFlags::IN)], None).unwrap();
        let mut heard = [0; 100];
        assert_eq!(rustix::io::read(&ours, &mut heard).unwrap(), 60);
        assert_eq!(heard[..60], frame(9, 1));
        // Nonsense is dropped.
        rustix::io::write(&ours, &[1, 2, 3]).unwrap();
        rustix::io::write(&ours, &frame(1, 8)).unwrap();
        assert_eq!(heard_by(&cable).data()[..], frame(1, 8));
        drop(connected);
        assert_eq!(switch.ports(), 1);
    }

    #[test]
    fn a_machine_that_stands_still_holds_nobody_up() {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        rustix::io::ioctl_fionbio(&theirs, true).unwrap();
        let switch = Switch::new();
        let (still, alive) = (Cable::new().unwrap(), Cable::new().unwrap());
        for (cable, number) in [(&still, 1), (&alive, 2)] {
            cable.plug(&switch);
            cable.send(Frame::copy_of(&frame(9, number)).unwrap());
        }
        let _connected = Connected::pass(&switch, File::from(theirs), 0).unwrap();
        for _ in 0..2 * MOST_FRAMES {
            rustix::io::write(&ours, &frame(1, 9)).unwrap();
        }
        rustix::io::write(&ours, &frame(2, 9)).unwrap();
        while heard_by(&alive).data()[..] != frame(2, 9) {}
        assert!(still.traffic().lost_frames > 0);
    }

    #[test]
    fn the_helpers_file_comes_over_the_socket_or_its_words_do() {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        let write = |script: &str| {
            use std::os::unix::fs::PermissionsExt;
            fs::write(&helper, script).unwrap();
            fs::set_permissions(&helper, fs::Permissions::from_mode(0o700)).unwrap();
        };
        write(
            "#!/usr/bin/env python3\n\
             import array, socket, sys\n\
             assert sys.argv[1:] == ['--use-vnet', '--fd=0', '--br=br0'], sys.argv\n\
             with open(sys.argv[0]) as file, socket.socket(fileno=0) as end:\n\
             \x20   files = array.array('i', [file.fileno()])\n\
             \x20   end.sendmsg([b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])\n",
        );
        let mut text = String::new();
        File::from(ask_helper(&helper, "br0").unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.contains("python3"), "{text}");
        write("#!/bin/sh\necho 'access denied by acl file' >&2\nexit 1\n");
        let error = ask_helper(&helper, "br0").unwrap_err();
        assert!(error.to_string().contains("acl file"), "{error}");
        write("#!/bin/sh\nexit 0\n");
        assert!(ask_helper(&helper, "br0").is_err());
    }

    #[test]
    fn only_what_the_user_may_have_is_offered() {
        let folder = tempfile::tempdir().unwrap();
        let device = |name: &str, files: &[(&str, &str)]| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            for (file, text) in files {
                fs::write(path.join(file), text).unwrap();
            }
        };
        let own = rustix::process::geteuid().as_raw().to_string();
        device("eth0", &[("owner", "0")]);
        device("tap0", &[("tun_flags", "0x1002\n"), ("owner", &own)]);
        device("tun0", &[("tun_flags", "0x1001\n"), ("owner", &own)]);
        device("br0", &[]);
        fs::create_dir(folder.path().join("br0/bridge")).unwrap();
        let find = |helper, rules| {
            let found = possible(folder.path(), helper, rules);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(find(false, None), ["tap:tap0"]);
        assert_eq!(find(true, None), ["bridge:br0", "tap:tap0"]);
        assert_eq!(find(true, Some("# none\nallow br1\n")), ["tap:tap0"]);
        assert_eq!(find(true, Some("deny br0\nallow all\n")), ["tap:tap0"]);
        assert_eq!(find(true, Some("allow all")).len(), 2);
        let uplinks = Uplinks::of_host();
        assert_eq!(uplinks.reason.is_some(), uplinks.possible.is_empty());
        for text in ["tap:tap0", "bridge:br0"] {
            assert_eq!(text.parse::<Uplink>().unwrap().to_string(), text);
        }
        for wrong in ["", "br0", "tap:", "bridge:../x", "tap:a-name-of-16-chars"] {
            assert!(wrong.parse::<Uplink>().is_err(), "{wrong}");
        }
    }
}
