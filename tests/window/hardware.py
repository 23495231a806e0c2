"""The drives in the window: added, changed, taken away and brought back, with disks that QEMU's tools read."""

import json
import os
import re
import subprocess

from window import Role, run, step

MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Box"
generation = 1

[memory]
mebibytes = 64

# The person's own disk
[[drive]]
kind = "disk"
file = "DISK"
format = "raw"
boot = 1

[[drive]]
kind = "optical"
boot = 2
"""


def prepare(machines):
    folder = os.path.join(machines, "box")
    os.mkdir(folder)
    brought = os.path.abspath("brought.img")
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", brought, "64M"], check=True)
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE.replace("DISK", brought))


def size(disk):
    output = subprocess.run(["qemu-img", "info", "--output=json", disk], check=True, capture_output=True, text=True).stdout
    return json.loads(output)["virtual-size"]


def scenario(window):
    folder = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "box")
    trash = os.path.join(os.environ["XDG_DATA_HOME"], "Trash", "files")

    def drives():
        return json.loads(window.guesthouse("show", "Box", "--json"))["definition"]["drive"]

    step("what is there")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.keys("ctrl+3")
    window.topic("Drives")
    window.wait_for_text("Hard Disk 1")
    window.wait_for_text(r"brought\.img · .* · raw · 64 MiB")
    window.expect_names("the view")
    window.picture("drives")

    step("a new disk")
    window.choose("Add a Drive", "n")
    window.enter("Size in GiB", "none")
    window.wait_for_text("Give a number")
    window.expect("it cannot be made", not window.can_press("Create"))
    window.enter("Size in GiB", "1.5")
    window.picture("new")
    window.press("Create")
    window.wait_for_text("The hard disk was added")
    window.wait_for_text("disk.qcow2 · qcow2 · 1.5 GiB")
    disk = os.path.join(folder, "disk.qcow2")
    window.expect("QEMU sees its size", size(disk) == 3 << 29)

    step("the order in which they are tried")
    window.topic("Firmware")
    window.press("Later: Hard Disk 1")
    window.wait("the new order", lambda: [drive.get("boot") for drive in drives()] == [2, 1, None])
    window.press("Start from Hard Disk 2", Role.CHECK_BOX)
    window.wait("the new disk in it", lambda: [drive.get("boot") for drive in drives()] == [2, 1, 3])

    step("read-only")
    window.topic("Drives")
    window.open_row("Hard Disk 2")
    window.press("Read-Only", Role.CHECK_BOX)
    window.wait("the drive to be read-only", lambda: drives()[2].get("read_only") is True)
    window.wait("a tool that cannot be used now", lambda: not window.can_press("Grow…"))
    # The keyboard is where it was.
    window.keys("space")
    window.wait("the drive to be writable", lambda: not drives()[2].get("read_only"))
    window.expect_names("an open row")
    window.picture("open")

    step("grow")
    window.press("Grow…")
    window.enter("New Size in GiB", "1")
    window.wait_for_text("already")
    window.enter("New Size in GiB", "2")
    window.press("Grow")
    window.wait_for_text("The disk has 2 GiB now")
    window.expect("QEMU sees the new size", size(disk) == 2 << 30)

    step("remove and undo")
    window.press("Remove Drive")
    window.wait_for_text("Remove Hard Disk 2\\?")
    window.picture("remove")
    window.press("Move Image to Trash")
    window.wait_for_text("its image is in the Trash")
    window.expect("it is gone", not os.path.exists(disk) and len(drives()) == 2)
    window.expect("it is in the Trash", os.listdir(trash) == ["disk.qcow2"])
    window.press("Undo")
    window.wait("the drive", lambda: len(drives()) == 3 and os.path.exists(disk))
    window.wait_for_text("disk.qcow2 · qcow2 · 2 GiB")

    step("what the person brought is left alone")
    window.open_row("Hard Disk 1")
    window.press("Remove Drive")
    window.wait_for_text("Hard Disk 1 was removed")
    window.wait("two drives", lambda: len(drives()) == 2)
    window.expect("its image is there", os.path.exists("brought.img"))

    step("an optical drive")
    window.choose("Add a Drive", "o")
    window.wait("the drive", lambda: [drive["kind"] for drive in drives()] == ["optical", "disk", "optical"])

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
