"""Snapshots in the window: taken, kept from other programs, gone back to, made into a machine, deleted, with disks that QEMU's tools write and read."""

import json
import os
import re
import subprocess

import plain_machine
from window import Role, run, step


def prepare(machines):
    folder = plain_machine.make(machines)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", os.path.join(folder, "disk.qcow2"), "64M"], check=True)
    write(os.path.join(folder, "disk.qcow2"), 1)


def write(disk, pattern):
    subprocess.run(["qemu-io", "-c", f"write -P {pattern} 0 64k", disk], check=True, capture_output=True)


def holds(disk, pattern):
    command = ["qemu-io", "-r", "-U", "-c", f"read -P {pattern} 0 64k", disk]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode == 0 and "failed" not in result.stdout


def scenario(window):
    machines = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines")

    def disk(name):
        machine = json.loads(window.guesthouse("show", name, "--json"))
        return os.path.join(machine["folder"], machine["definition"]["drive"][0]["file"])

    original = os.path.join(machines, "box", "disk.qcow2")
    step("without snapshots")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.keys("ctrl+4")
    window.wait_for_text("No Snapshots")
    window.expect_names("the empty view")
    window.picture("none")

    step("take one")
    window.press("Take Snapshot")
    window.enter("Name", "First")
    window.expect_names("the dialog")
    window.picture("take")
    window.press("Take")
    window.find(Role.BUTTON, "Revert to First")
    window.expect("there is an overlay", disk("Box") != original)
    window.expect("it shows the same", holds(disk("Box"), 1))
    write(disk("Box"), 2)
    window.expect("the base is left alone", holds(original, 1))

    step("another program has touched what the disk is built on")
    os.utime(original, (1, 1))
    window.press("Start")
    window.wait_for_text("“Box” could not be started")
    window.wait_for_text("if you know that its content is the same, “Start › Use as It Is” takes it as it is\\.")
    window.expect_names("the question")
    window.picture("changed")
    window.press("Cancel")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.press("Start")
    window.press("Use as It Is")
    window.find(Role.LIST_ITEM, re.compile("^Box, Running"))
    window.guesthouse("poweroff", "Box")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.expect("the base is still left alone", holds(original, 1))
    window.keys("ctrl+4")

    step("take another with a name of its own")
    window.press("Take Snapshot")
    window.press("Take")
    window.find(Role.BUTTON, "Revert to Snapshot 2")
    window.expect_names("the tree")
    window.picture("tree")
    write(disk("Box"), 3)

    step("go back")
    window.press("Revert to First")
    window.wait_for_text("Revert to “First”\\?")
    window.picture("revert")
    window.press("Revert")
    window.wait("the first state", lambda: holds(disk("Box"), 1))
    window.find(Role.BUTTON, "Revert to Snapshot 2")

    step("a machine from a snapshot")
    window.choose("More for Snapshot 2", "n")
    window.enter("Name", "box")
    window.wait_for_text("exists already")
    window.expect("the name is refused", not window.can_press("Create"))
    window.enter("Name", "Branch")
    window.press("Create")
    window.find(Role.LIST_ITEM, re.compile("^Branch, Off"))
    window.expect("it begins at the snapshot", holds(disk("Branch"), 2))

    step("its base is held")
    window.choose("More for Snapshot 2", "d")
    window.wait_for_text("The snapshot was not deleted")
    window.wait_for_text("Branch is built on")
    window.picture("held")
    window.press("Close")
    window.guesthouse("delete", "Branch")

    step("delete and undo")
    window.choose("More for Snapshot 2", "d")
    window.wait_for_text("“Snapshot 2” was deleted")
    window.press("Undo")
    window.find(Role.BUTTON, "Revert to Snapshot 2")

    window.expect("the guest's disk is as it was", holds(disk("Box"), 1))
    write(disk("Box"), 4)

    step("delete all: the machine has its first disk again, with all that is on it")
    for name in ("Snapshot 2", "First"):
        window.choose(f"More for {name}", "d")
        window.wait_for_text(f"“{name}” was deleted")
        window.wait("the row's end", lambda: not window.find_all(Role.BUTTON, f"Revert to {name}"))
    window.wait_for_text("No Snapshots", 60)
    window.expect("the disk is the one it began with", disk("Box") == original)
    window.expect("with what was written last", holds(original, 4))
    files = sorted(name for name in os.listdir(os.path.dirname(original)) if name.endswith(".qcow2"))
    window.expect("nothing is left over", files == ["disk.qcow2"])
    subprocess.run(["qemu-img", "check", "-q", original], check=True)

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
