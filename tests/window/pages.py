"""Every page and dialog of the window, looked at in light and in dark and in three sizes: pages.py ISO, whose program says hello.

The pictures are kept for people to look at; what is tested is that every control has a name and that nothing is wider than the window."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
import zlib

import display
from window import CONTROLS, Role, State, run, step

# What is looked at in both colour schemes, and in the first alone.
# The narrowest has 360 units within the border that the toolkit draws where there is no compositor.
WIDE, SMALL, NARROW = (1920, 1080), (800, 600), (370, 650)
MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-{number:012d}"
name = "{name}"
generation = {generation}
operating_system = "{system}"

[memory]
mebibytes = 64
{more}"""
DISK = """
[[drive]]
kind = "disk"
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
switch = "nat"

[[network.forward]]
protocol = "tcp"
host_port = 2222
guest_port = 22
"""


def prepare(machines):
    binary = os.environ["GUESTHOUSE_BINARY"]
    display.keep_still()
    medium = os.path.abspath("installer.iso")
    shutil.copy(sys.argv[1], medium)
    optical = OPTICAL.format(medium=medium)
    machine(machines, 1, "Build Server", "http://debian.org/debian/12", DISK + NETWORK, "plasma:#1c3f6e-#5fa8d3")
    machine(machines, 2, "Fedora Workstation", "http://fedoraproject.org/fedora/40", DISK, "plasma:#294172-#e8b04b", generation=2)
    machine(machines, 3, "Hello", "http://freedos.org/freedos/1.2", optical + DISK + NETWORK, None)
    machine(machines, 4, "Old Windows", "http://microsoft.com/win/xp", DISK, "gradient:#3a6ea5-#3a6ea5")
    # Three levels, two branches, and the machine between them.
    for deed, name in ("create", "Fresh"), ("create", "With Tools"), ("create", "Tuned"), ("revert", "Fresh"), ("create", "Other Tools"), ("revert", "With Tools"):
        subprocess.run([binary, "snapshot", deed, "Build Server", name], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(machines, "Build-Server", "machine.log"), "w") as file:
        file.write("".join(f"12:00:0{n} firmware: line {n} of what an earlier run said\n" for n in range(9)))
    broken = os.path.join(machines, "broken")
    os.mkdir(broken)
    with open(os.path.join(broken, "machine.toml"), "w") as file:
        file.write("schema = 1\nname = \n")


def machine(machines, number, name, system, more, picture, generation=1):
    folder = os.path.join(machines, name.replace(" ", "-"))
    os.mkdir(folder)
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE.format(number=number, name=name, system=system, more=more, generation=generation))
    subprocess.run([os.environ["GUESTHOUSE_BINARY"], "disk", "create", os.path.join(folder, "disk.qcow2"), "8G"], check=True, stdout=subprocess.DEVNULL)
    if picture:
        subprocess.run(["convert", "-size", "320x200", picture, os.path.join(folder, "screen.png")], check=True)


class Pages:
    """Shows the window in each size and colour scheme, and keeps the pictures."""

    def __init__(self, window):
        self.window = window
        self.folder = os.path.join(os.environ.get("GUESTHOUSE_SCREENS", "."), "pages")
        os.makedirs(self.folder, exist_ok=True)
        self.scheme, self.size, self.number = "light", None, 0
        self.workers = concurrent.futures.ThreadPoolExecutor(2)
        self.pictures, self.wrong = [], []

    def wear(self, scheme):
        if scheme != self.scheme:
            self.window.wear(scheme)
            self.scheme = scheme

    def fit(self, size):
        if size != self.size:
            command = ["xdotool", "getactivewindow", "windowsize", *map(str, size), "windowmove", "0", "0"]
            subprocess.run(command, check=True)
            self.window.wait(f"a window of {size}", lambda: self.window.size() == size, 5)
            self.size = size

    def settle(self):
        """Waits until the window has drawn itself, and nothing changes any more but what always does."""
        end = time.monotonic() + 2
        last, since = None, time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < 0.25:
            time.sleep(0.05)
            now = zlib.crc32(display.pixels())
            if now != last:
                last, since = now, time.monotonic()

    def look(self, name, sizes=(WIDE, SMALL, NARROW)):
        step(f"look at {name}")
        self.number += 1
        first = self.scheme
        for scheme in (first, "light" if first == "dark" else "dark"):
            self.wear(scheme)
            for size in sorted(sizes, reverse=self.size != NARROW):
                if scheme != first and size == NARROW:
                    continue
                self.fit(size)
                self.settle()
                if scheme == first and size != WIDE:
                    self.check(name, size)
                self.keep(f"{self.number:02}-{name}-{size[0]}x{size[1]}-{scheme}.png", size)

    def check(self, name, size):
        """What has no name, or is not whole in the window, is told at the end: one look finds all."""
        where = f"{name} in {size[0]}x{size[1]}"
        frame = next(node for node in self.window.tree().children if node.has(State.ACTIVE))
        self.wrong += [f"{where}: {node} in {node.parent} has no name" for node in self.window.unnamed(frame)]
        left, _, across, _ = self.window.extents(frame)
        for node in frame.walk() if size == NARROW else ():
            if node.role in CONTROLS and node.has(State.SENSITIVE):
                x, _, width, _ = self.window.extents(node)
                if width > 1 and (x < left - 1 or x + width > left + across + 1):
                    self.wrong.append(f"{where}: {node} reaches from {x - left} to {x + width - left} of {across}")

    def keep(self, file, size):
        path = os.path.join(self.folder, file)
        self.pictures.append(self.workers.submit(display.keep, display.pixels(), path, size))

    def end(self):
        for picture in self.pictures:
            picture.result()
        self.window.expect("every control has a name and is whole in the window:\n" + "\n".join(self.wrong), not self.wrong)


def scenario(window):
    pages = Pages(window)

    def leave_while(shown):
        def left():
            # While the window changes its size, a key may go by it.
            window.keys("Escape")
            time.sleep(0.3)
            return not shown()

        window.wait("the dialog's end", left)

    def leave_dialog(text):
        leave_while(lambda: re.search(text, window.text()))

    def choose(name):
        pages.fit(WIDE)
        window.choose_machine(name)
        # Where there is no room for both, the machine's page comes in front.
        window.keys("Return")

    def view(number, name):
        window.keys(f"ctrl+{number}")
        window.wait(f"the view {name}", lambda: window.selected(name))

    def dialog(name, text, open, sizes=(SMALL, NARROW)):
        pages.fit(WIDE)
        open()
        window.wait_for_text(text)
        pages.look(name, sizes)
        leave_dialog(text)

    def preferences_of_machines():
        window.keys("ctrl+comma")
        window.focus(window.find(Role.PAGE_TAB, "General"))
        window.keys("Right", "space")

    step("a machine that is off")
    window.find(Role.LIST, "Machines")
    choose("Build Server")
    for number, name in enumerate(("Display", "Overview", "Hardware", "Snapshots", "Serial", "Log"), 1):
        pages.fit(WIDE)
        view(number, name)
        if name == "Hardware":
            for topic in ("General", "Processors", "Memory", "Firmware", "Drives", "Network", "Display and Input", "Clock and Others"):
                pages.fit(WIDE)
                window.topic(topic)
                if topic == "Drives":
                    window.open_row("Hard Disk 1")
                # Where there is no room for both, the topic comes in front of the list.
                window.focus(window.find(Role.LIST_ITEM, re.compile(f"^{topic}")))
                window.keys("Return")
                pages.look(f"hardware-{topic.split()[0].lower()}")
        else:
            pages.look(f"off-{name.lower()}")

    step("dialogs about a machine")
    dialog("clone", "Clone Machine", lambda: window.choose("Machine Menu", "c"))
    dialog("export", "Choose Place", lambda: window.choose("Machine Menu", "e"))
    dialog("keyboard-layout", "Keyboard Layout", lambda: (window.choose("Machine Menu", "k"), window.keys("l")))
    view(4, "Snapshots")
    dialog("snapshot", "Notes", lambda: window.press("Take Snapshot"))

    step("one that cannot be read")
    choose("broken")
    window.wait_for_text("(?i)cannot be read")
    pages.look("broken")

    step("one that runs")
    choose("Hello")
    view(1, "Display")
    window.press("Start")
    window.wait_for_guest("Hello", "Guesthouse says hello")
    window.wait_for_picture("Hello")
    pages.look("display")
    window.release()
    pages.fit(WIDE)
    view(2, "Overview")
    pages.look("overview")
    pages.fit(WIDE)
    window.press("Pause")
    window.wait_for_state("Hello", "paused")
    view(1, "Display")
    window.release()
    pages.look("paused")
    pages.fit(WIDE)
    dialog("force-off", "Force “Hello” off", lambda: window.choose("Reset or Force Off", "f"))

    step("its own window")
    window.keys("F12")
    window.wait("its own window", lambda: window.in_front() == "Hello")
    pages.size = None
    window.release()
    pages.look("own-window")
    window.keys("ctrl+w")
    window.wait("the main window", lambda: window.in_front() == "Guesthouse")
    pages.size = None

    step("the library")
    pages.fit(WIDE)
    window.guesthouse("poweroff", "Hello")
    window.wait_for_state("Hello", "off")
    window.keys("ctrl+f")
    window.type("nothing like it")
    window.wait_for_text("No Machine Found")
    pages.look("nothing-found")
    pages.fit(WIDE)
    window.keys("ctrl+f")
    choose("Hello")
    window.focus(window.find(Role.LIST, "Machines"))
    window.keys("shift+Down")
    window.wait_for_text("2 Machines Selected")
    window.keys("Return")
    pages.look("several")
    choose("Hello")

    step("the program's dialogs")
    dialog("preferences", "Colour Scheme", lambda: window.keys("ctrl+comma"))
    dialog("preferences-machines", "Disk Size", preferences_of_machines)
    dialog("shortcuts", "New machine", lambda: window.keys("ctrl+question"))
    dialog("about", "The Guesthouse developers", lambda: window.choose("Main Menu", "a"))
    dialog("switches", "Network cards are plugged", lambda: window.choose("Main Menu", "v"))

    step("the wizard")
    pages.fit(WIDE)
    window.keys("ctrl+n")
    window.wait_for_text("Installer or Disk Image")
    pages.look("wizard-empty")
    pages.fit(WIDE)
    window.enter("File", sys.argv[1])
    window.wait_for_text("Supported · Optical disc")
    for page, written in [("source", "Installer"), ("system", "Processors"), ("storage", "Hard Disk"), ("review", "Start After Creating")]:
        window.wait_for_text(written)
        pages.look(f"wizard-{page}")
        pages.fit(WIDE)
        if page == "storage":
            window.press("SSH")
            window.wait_for_text(r"TCP port \d+ to the guest’s port 22")
            dialog("forward", "Port of This Computer", lambda: window.press("Forward a port"))
        if page == "system":
            window.enter("Name", "a/b")
            window.wait_for_text("(?i)name .*/")
            window.expect("Create cannot be pressed", not window.can_press("Create"))
            pages.look("wizard-objection")
            pages.fit(WIDE)
            window.enter("Name", "named")
        if page != "review":
            window.press("Next")
    # Page by page.
    leave_while(lambda: window.find_all(Role.BUTTON, "Create"))

    step("without machines")
    pages.fit(WIDE)
    for name in ("Build Server", "Fedora Workstation", "Hello", "Old Windows"):
        window.guesthouse("delete", name)
    shutil.rmtree(os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "broken"))
    window.wait_for_text("No Machines Yet")
    pages.look("empty")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()
    pages.end()
    window.expect_no_warnings()


run(scenario, size="1920x1080", prepare=prepare, GSETTINGS_BACKEND="keyfile")
