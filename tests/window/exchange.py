"""Machines and disks that come from elsewhere and go there, in the window: import, export, backups. QEMU's tools read what is made."""

import json
import os
import re
import subprocess

import plain_machine
from window import Role, run, step

MORE = """boot = 1
"""


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *arguments], check=True, stdout=subprocess.DEVNULL)


def prepare(machines):
    folder = plain_machine.make(machines, MORE)
    disk = os.path.join(folder, "disk.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", disk, "64M")
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", disk], check=True, capture_output=True)
    qemu_img("convert", "-O", "vhdx", disk, "Old Server.vhdx")
    qemu_img("create", "-q", "-f", "qcow2", "-b", disk, "-F", "qcow2", "top.qcow2")


def scenario(window):
    data = os.environ["XDG_DATA_HOME"]
    box = os.path.join(data, "guesthouse", "machines", "box", "disk.qcow2")

    def disk(name):
        machine = json.loads(window.guesthouse("show", name, "--json"))
        return os.path.join(machine["folder"], machine["definition"]["drive"][0]["file"])

    def same(one, other):
        return subprocess.run(["qemu-img", "compare", "-q", one, other]).returncode == 0

    step("export")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.choose("Machine Menu", "e")
    window.picture("export")
    window.press("Choose Place…")
    window.save_file("Export", os.path.abspath("box.ova"))
    window.wait("the file", lambda: os.path.exists("box.ova"))

    step("export over it")
    first = os.stat("box.ova").st_ino
    window.choose("Machine Menu", "e")
    window.press("Choose Place…")
    window.save_file("Export", os.path.abspath("box.ova"), replace=True)
    window.wait("another file", lambda: os.stat("box.ova").st_ino != first)

    step("back up")
    window.choose("Machine Menu", "b")
    window.save_file("Back Up", os.path.abspath("box.tar.zst"))
    window.wait("the file", lambda: os.path.exists("box.tar.zst"))

    step("import a disk of another format")
    window.choose("Main Menu", "i")
    window.choose_file("Import a Machine or Disk", "Old Server.vhdx")
    window.wait_for_text("Hard disk, vhdx, 64 MiB")
    window.expect_names("the wizard")
    window.picture("import")
    window.press("Create")
    window.find(Role.LIST_ITEM, re.compile("^Old Server"))
    window.expect("the disk is the same", same(disk("Old Server"), box))
    window.expect("it is a copy", disk("Old Server").startswith(os.path.join(data, "guesthouse")))

    step("an image that is built on another asks once")
    window.choose("Main Menu", "i")
    window.choose_file("Import a Machine or Disk", "top.qcow2")
    window.wait_for_text("holds only what differs")
    window.expect("it waits for the answer", not window.can_press("Create"))
    window.picture("consent")
    window.press("Let the Machine Read Other Files", Role.CHECK_BOX)
    window.wait("Create", lambda: window.can_press("Create"))
    window.press("Create")
    window.find(Role.LIST_ITEM, re.compile("^top"))
    window.expect("the copy is whole", same(disk("top"), box))

    step("import what was exported")
    window.choose("Main Menu", "i")
    window.choose_file("Import a Machine or Disk", "box.ova")
    window.wait_for_text("A machine that was packed up, 1 hard disk")
    window.picture("packed")
    window.press("Create")
    window.find(Role.LIST_ITEM, re.compile("^Box 2"))
    window.expect("the disk is the same", same(disk("Box 2"), box))

    step("restore beside it")
    window.choose("Main Menu", "r")
    window.choose_file("Restore a Backup", "box.tar.zst")
    window.wait_for_text("was backed up on")
    window.expect_names("the question")
    window.picture("restore")
    window.press("New Identity", Role.CHECK_BOX)
    window.wait_for_text("only one can be the same")
    window.press("New Identity", Role.CHECK_BOX)
    window.press("Restore")
    window.find(Role.LIST_ITEM, re.compile("^Box restored, Off"))
    window.expect("the disk is the same", same(disk("Box restored"), box))

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
