"""The tools for disks in the window, each on a disk that QEMU's tools made and read afterwards."""

import fcntl
import json
import os
import re
import struct
import subprocess

import plain_machine
from window import Role, run, step

MORE = """
[[drive]]
kind = "disk"
file = "top.qcow2"
format = "qcow2"

[[drive]]
kind = "disk"
file = "other.qcow2"
format = "qcow2"
"""


def io(disk, command):
    subprocess.run(["qemu-io", "-c", command, disk], check=True, capture_output=True)


def qemu_img(*arguments):
    return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, text=True).stdout


def prepare(machines):
    folder = plain_machine.make(machines, MORE)
    before = os.getcwd()
    os.chdir(folder)
    qemu_img("create", "-q", "-f", "qcow2", "disk.qcow2", "64M")
    # Sixteen megabytes of zeros that take space, and a cluster that nothing refers to.
    io("disk.qcow2", "write -P 1 0 64k")
    io("disk.qcow2", "write -P 0 1M 16M")
    for name in ("top", "other"):
        qemu_img("create", "-q", "-f", "raw", f"{name}-base.raw", "32M")
        io_raw(f"{name}-base.raw")
        qemu_img("create", "-q", "-f", "qcow2", "-b", f"{name}-base.raw", "-F", "raw", f"{name}.qcow2")
        io(f"{name}.qcow2", "write -P 5 1M 64k")
    leak("disk.qcow2")
    os.chdir(before)


def io_raw(disk):
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 3 0 64k", disk], check=True, capture_output=True)


def leak(disk):
    """Counts a cluster behind the image's end that nothing refers to."""
    with open(disk, "r+b") as file:
        header = file.read(104)
        bits, table = struct.unpack(">I", header[20:24])[0], struct.unpack(">Q", header[48:56])[0]
        size = 1 << bits
        file.seek(table)
        block = struct.unpack(">Q", file.read(8))[0]
        end = os.path.getsize(disk) // size + 1
        file.seek(block + 2 * end)
        file.write(struct.pack(">H", 1))
        file.truncate((end + 1) * size)


def scenario(window):
    folder = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "box")

    def path(name):
        return os.path.join(folder, name)

    def drives():
        return json.loads(window.guesthouse("show", "Box", "--json"))["definition"]["drive"]

    def holds(disk, format, *ranges):
        commands = [word for at, pattern in ranges for word in ("-c", f"read -P {pattern} {at} 64k")]
        result = subprocess.run(["qemu-io", "-r", "-f", format, *commands, disk], capture_output=True, text=True)
        return result.returncode == 0 and "failed" not in result.stdout

    def info(name):
        return json.loads(qemu_img("info", "-U", "--output=json", path(name)))

    def is_free():
        with open(path(".lock")) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def finished():
        """What QEMU sees may be there before the work on it has ended, until which the machine is in use."""
        window.wait("the end of the work", is_free)

    step("check and repair")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.keys("ctrl+3")
    window.topic("Drives")
    window.wait_for_text("disk.qcow2 · qcow2 · 64 MiB")
    window.open_row("Hard Disk 1")
    window.press("Check and Repair")
    window.wait_for_text("The disk wastes space")
    window.expect_names("the findings")
    window.picture("findings")
    window.press("Repair")
    # Without a lock, for which the repair would find the image in use.
    window.wait("QEMU to find nothing", lambda: subprocess.run(["qemu-img", "check", "-q", "-U", path("disk.qcow2")]).returncode == 0)
    finished()
    window.press("Check and Repair")
    window.wait_for_text("Nothing is wrong with the disk")

    step("compact")
    before = info("disk.qcow2")["actual-size"]
    window.press("Compact")
    window.wait("QEMU to see less", lambda: info("disk.qcow2")["actual-size"] < before - (15 << 20))
    finished()
    window.expect("and the same disk", holds(path("disk.qcow2"), "qcow2", ("0", 1), ("1M", 0)))

    step("convert")
    window.press("Convert…")
    window.picture("convert")
    window.press("Convert")
    window.wait("the raw disk", lambda: drives()[0]["format"] == "raw")
    window.expect("it is the same", holds(path(drives()[0]["file"]), "raw", ("0", 1), ("1M", 0)))
    window.wait("the old one in the Trash", lambda: not os.path.exists(path("disk.qcow2")))
    finished()
    window.open_row("Hard Disk 1")

    step("detach from the base")
    window.open_row("Hard Disk 2")
    window.picture("tools")
    window.press("Detach from Its Base")
    window.wait("it has no base", lambda: "backing-filename" not in info("top.qcow2"))
    finished()
    window.expect("and shows the same", holds(path("top.qcow2"), "qcow2", ("0", 3), ("1M", 5)))
    window.open_row("Hard Disk 2")

    step("merge into the base")
    window.open_row("Hard Disk 3")
    window.press("Merge into Its Base…")
    window.wait_for_text("Merge the disk into its base")
    window.picture("merge")
    window.press("Merge")
    window.wait("the base in the drive", lambda: drives()[2]["file"] == "other-base.raw")
    finished()
    window.expect("it has all", holds(path("other-base.raw"), "raw", ("0", 3), ("1M", 5)))

    window.wait_for_text("other-base.raw · raw")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
