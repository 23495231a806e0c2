"""The pictures of README.md and of the AppStream description, taken of the real program: screenshots.py INSTALLER FOLDER, called by
build-aux/screenshots. Nothing is pretended: the machine that runs does run, and those that never ran show no screen.

Whatever would be different at the next time is fixed: identifiers, addresses, the times of snapshots, the window's size, animations, fonts."""

import calendar
import glob
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zlib

import display
from window import GUEST, Role, run, step

# Without the border that the toolkit draws where there is no compositor. It is the size that the window has at first.
SIZE = (1080, 720)
RUNNING = "Debian Desktop"
MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-{number:012d}"
name = "{name}"
operating_system = "{system}"
generation = {generation}

[devices]
graphics = {modern}
input = {modern}
entropy = {modern}

[processor]
count = 2

[memory]
mebibytes = {memory}

[[drive]]
kind = "disk"
bus = "{bus}"
file = "disk.qcow2"
format = "qcow2"
boot = 2
"""
OPTICAL = """
[[drive]]
kind = "optical"
file = "{medium}"
boot = 1
"""
NETWORK = """
[[network]]
switch = "{switch}"
mac = "52:54:00:8a:3c:{number:02x}"
"""
FORWARD = """
[[network.forward]]
protocol = "tcp"
host_port = {host}
guest_port = {guest}
"""


def medium():
    """Where a person has it; the field shows the path's end."""
    return os.path.join(os.environ["HOME"], "Downloads", "debian-12.12.0-amd64-netinst.iso")


def guesthouse(*arguments):
    subprocess.run([os.environ["GUESTHOUSE_BINARY"], *arguments], check=True, stdout=subprocess.DEVNULL)


def prepare(machines):
    display.keep_still()
    os.mkdir(os.path.dirname(medium()))
    shutil.copy(sys.argv[1], medium())
    guesthouse("switch", "create", "Lab", "--kind", "private")
    guesthouse("switch", "create", "Office", "--kind", "external", "--uplink", "bridge:br0")
    guesthouse("switch", "create", "Test Network", "--kind", "internal", "--network", "10.20.0.0")
    forwards = FORWARD.format(host=2222, guest=22) + FORWARD.format(host=8080, guest=80)
    machine(machines, 1, "Alpine Router", "http://alpinelinux.org/alpinelinux/3.21", card("nat", 1) + card("Lab", 7), memory=512)
    server = machine(machines, 2, "Build Server", "http://debian.org/debian/12", card("nat", 2) + forwards, 2)
    machine(machines, 3, RUNNING, "http://debian.org/debian/12", OPTICAL.format(medium=medium()) + card("nat", 3))
    machine(machines, 4, "Fedora Workstation", "http://fedoraproject.org/fedora/42", card("nat", 4), 2, 4096)
    machine(machines, 5, "openSUSE Leap", "http://opensuse.org/opensuse/15.6", card("Lab", 5) + card("Test Network", 8), 2)
    machine(machines, 6, "Ubuntu 24.04 LTS", "http://ubuntu.com/ubuntu/24.04", card("nat", 6), 2, 4096)
    snapshots(server)


def card(switch, number):
    return NETWORK.format(switch=switch, number=number)


def machine(machines, number, name, system, more, generation=1, memory=2048):
    folder = os.path.join(machines, name.replace(" ", "-"))
    os.mkdir(folder)
    modern = generation == 2
    values = {"bus": "virtio" if modern else "ide", "modern": str(modern).lower()}
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE.format(number=number, name=name, system=system, generation=generation, memory=memory, **values) + more)
    guesthouse("disk", "create", os.path.join(folder, "disk.qcow2"), "32G")
    return folder


def snapshots(folder):
    """Five of them, of which the last is a branch; taken at fixed times, so that the picture stays the same."""

    def disk():
        with open(os.path.join(folder, "machine.toml"), "rb") as file:
            return os.path.join(folder, tomllib.load(file)["drive"][0]["file"])

    taken = [
        (None, "Freshly Installed", "Debian 12 without a desktop", "2026-11-02 09:12"),
        (None, "Compilers", "gcc 12, clang 16, cmake", "2026-11-03 17:40"),
        (None, "Before the Upgrade", "", "2026-11-20 08:05"),
        (None, "Upgraded", "Works with gcc 14", "2026-11-20 11:22"),
        ("Compilers", "Rust Nightly", "Only to try it", "2026-11-24 14:31"),
    ]
    for number, (after, name, notes, _) in enumerate(taken):
        if after:
            guesthouse("snapshot", "revert", "Build Server", after)
        # What the guest wrote since, so that it has a size.
        write = f"write -q -P {number + 1} {number}G {300 >> number}M"
        subprocess.run(["qemu-io", "-c", write, disk()], check=True)
        guesthouse("snapshot", "create", "Build Server", name, "--notes", notes)
    times = {name: at for _, name, _, at in taken}
    for path in glob.glob(os.path.join(folder, "snapshots", "*", "manifest.toml")):
        with open(path) as file:
            text = file.read()
        name = re.search('^name = "(.*)"$', text, re.MULTILINE).group(1)
        created = calendar.timegm(time.strptime(times[name], "%Y-%m-%d %H:%M")) * 1000
        with open(path, "w") as file:
            file.write(re.sub("^created = .*$", f"created = {created}", text, flags=re.MULTILINE))


class Camera:
    """Takes the pictures, of the window alone."""

    def __init__(self, window):
        self.window = window
        # The pointer is part of the display's picture.
        subprocess.run(["xdotool", "mousemove", "1279", "799"], check=True)
        frame = window.tree().children[0]
        border = -window.extents(frame)[0]
        size = [str(length + 2 * border) for length in SIZE]
        subprocess.run(["xdotool", "getactivewindow", "windowsize", *size, "windowmove", "0", "0"], check=True)
        window.wait("the window's size", lambda: window.size() == tuple(map(int, size)))
        self.border = border

    def take(self, name):
        """Waits until nothing changes any more, such as the ring around what had the keyboard, which the toolkit hides after a while."""
        step(f"take {name}")
        last, since, end = None, time.monotonic(), time.monotonic() + 30
        while time.monotonic() - since < 4 and time.monotonic() < end:
            time.sleep(0.2)
            now = zlib.crc32(display.pixels())
            if now != last:
                last, since = now, time.monotonic()
        width, height = SIZE
        crop = ["-crop", f"{width}x{height}+{self.border}+{self.border}", "+repage", "-strip"]
        smallest = ["-depth", "8", "-define", "png:compression-level=9", "-define", "png:exclude-chunks=date,time"]
        path = os.path.join(sys.argv[2], f"{name}.png")
        subprocess.run(["convert", "xwd:-", *crop, *smallest, path], input=display.pixels(), check=True)


def scenario(window):
    def view(number, name):
        window.keys(f"ctrl+{number}")
        window.wait(f"the view {name}", lambda: window.selected(name))

    def leave_dialog(text):
        def left():
            window.keys("Escape")
            time.sleep(0.5)
            return not re.search(text, window.text())

        window.wait("the dialog's end", left)

    def screen():
        with open(window.own(RUNNING), "rb") as file:
            return file.read()

    def menu():
        """Whether Debian's boot menu is there, whole: before, the screen has a text's few colours, or changes."""
        before = screen()
        colours = subprocess.run(["identify", "-format", "%k", "-"], input=before, check=True, capture_output=True).stdout
        time.sleep(5)
        return int(colours) > 256 and screen() == before

    window.find(Role.LIST, "Machines")
    camera = Camera(window)

    step("a machine that runs")
    window.choose_machine(RUNNING)
    view(1, "Display")
    window.press("Start")
    window.wait_for_state(RUNNING, "running")
    window.wait("Debian's boot menu", menu, 8 * GUEST)
    window.wait_for_picture(RUNNING)
    window.release()
    camera.take("window")
    window.wear("dark")
    camera.take("dark")
    window.wear("light")

    step("one that is off")
    window.choose_machine("Build Server")
    view(3, "Hardware")
    window.topic("Network")
    camera.take("hardware")
    view(4, "Snapshots")
    window.wait_for_text("Rust Nightly")
    camera.take("snapshots")

    step("switches")
    window.choose("Main Menu", "v")
    window.wait_for_text("Used by .*Build Server")
    camera.take("switches")
    leave_dialog("Machines at the same one")

    step("the wizard")
    window.keys("ctrl+n")
    window.enter("File", medium())
    window.wait_for_text("Supported · Optical disc")
    camera.take("wizard")
    leave_dialog("Installer or Disk Image")

    step("leave")
    window.guesthouse("poweroff", RUNNING)
    window.wait_for_state(RUNNING, "off")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare, GSETTINGS_BACKEND="keyfile", TZ="UTC")
