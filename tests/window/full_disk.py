"""A guest fills the file system that holds its disk: full_disk.py ISO, whose program writes 24 clusters without end. The window says what
helps, sees room come, and lets the guest go on."""

import os
import re
import sys
import time

import plain_machine
from window import Role, run, step

MORE = """boot = 2

[[drive]]
kind = "optical"
file = "{medium}"
format = "raw"
read_only = true
boot = 1
"""

# The window's program alone sees a file system of 4 MiB, all but 32 KiB of it taken, at the folder "place".
PROGRAM = """#!/bin/sh
[ $# -eq 0 ] || exec "{binary}" "$@"
exec unshare --mount --propagation unchanged {root} sh -c '
mount --make-rprivate / 2>/dev/null || ! grep -q " shared:" /proc/self/mountinfo || exit 77
mount -t tmpfs -o size=4m none "$1" && cp disk.qcow2 "$1" && head -c 524288 /dev/zero >"$1/attic.raw" || exit 77
head -c 4194304 /dev/zero >"$1/filler" 2>/dev/null
truncate -s -32768 "$1/filler" && exec "$0"' "{binary}" "{place}"
"""

PLACE = os.path.abspath("place")


def machine(machines, folder, more, disk, **changes):
    made = plain_machine.make(machines, more)
    path = os.path.join(made, "machine.toml")
    with open(path) as file:
        text = file.read().replace('"disk.qcow2"', f'"{disk}"')
    for old, new in changes.values():
        text = text.replace(old, new)
    with open(path, "w") as file:
        file.write(text)
    os.rename(made, os.path.join(machines, folder))


def prepare(machines):
    os.mkdir(PLACE)
    raw = ('"qcow2"', '"raw"')
    # Before the other in the list: on its way through the list the keyboard chooses each machine.
    machine(machines, "attic", "", f"{PLACE}/attic.raw", name=('"Box"', '"Attic"'), uuid=("0b2e7f5e", "1b2e7f5e"), format=raw)
    machine(machines, "full", MORE.format(medium=sys.argv[1]), f"{PLACE}/disk.qcow2")
    binary = os.environ["GUESTHOUSE_BINARY"]
    # The image is made where everybody sees it, and copied.
    os.system(f'"{binary}" disk create disk.qcow2 64M >/dev/null')
    program = os.path.abspath("program")
    with open(program, "w") as file:
        root = "" if os.getuid() == 0 else "--map-root-user"
        file.write(PROGRAM.format(binary=binary, root=root, place=PLACE))
    os.chmod(program, 0o755)
    os.environ["GUESTHOUSE_BINARY"] = program


def scenario(window):
    seen = f"/proc/{window.program.pid}/root{PLACE}"

    step("the disk fills")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.choose_machine("Box")
    window.press("Start")
    window.wait_for_state("Box", "paused", 90)
    window.find(Role.LIST_ITEM, re.compile("^Box, Paused"))
    window.wait_for_text("no space is left for .*disk.qcow2")
    window.wait_for_text("Free where its disk is: .*(bytes|KiB)")
    window.release()
    window.expect_names("the page")
    window.picture("paused")

    step("what helps")
    window.press("Free Space…")
    window.wait_for_text("The guest waits")
    window.find(Role.LIST_ITEM, "Show the Disk in Its Folder")
    window.find(Role.LIST_ITEM, "Show the Trash")
    window.expect_names("the dialog")
    window.picture("helps")
    window.open_row("Attic")
    window.wait("the dialog's end", lambda: "The guest waits" not in window.text())
    window.wait("the other machine's page", lambda: "no space is left" not in window.text())

    step("room comes")
    window.choose_machine("Box")
    window.press("Free Space…")
    window.wait_for_text("The guest waits")
    os.remove(f"{seen}/filler")
    window.wait_for_text(r"Free Where the Disk Is\s+[\d.]+ MiB")
    window.picture("room")
    window.press("Resume the Machine")
    window.wait_for_state("Box", "running")
    window.wait("all that the guest writes", lambda: os.stat(f"{seen}/disk.qcow2").st_size >= 24 * 65536)
    time.sleep(1)
    window.expect("the guest goes on", window.state("Box") == "running")
    window.expect("nothing is asked for", "Free where its disk is" not in window.text())

    step("leave")
    window.release()
    window.guesthouse("poweroff", "Box")
    window.wait_for_state("Box", "off")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
