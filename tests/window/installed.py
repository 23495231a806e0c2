"""An installer has done its work and restarts the machine: installed.py ISO, whose program fills 66 MiB of the disk and restarts. The window
says so once, and takes the installer out."""

import json
import os
import re
import sys

from window import Role, run, step


def scenario(window):
    def medium():
        drives = json.loads(window.guesthouse("show", "new", "--json"))["definition"]["drive"]
        return [drive.get("file") for drive in drives if drive["kind"] == "optical"]

    window.wait_for_text("No Machines Yet")
    window.guesthouse("create", "new", "--iso", sys.argv[1], "--disk", "1G")
    # Where a processor is emulated, the firmware writes ten times as fast to a disk of this kind.
    path = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "new", "machine.toml")
    with open(path) as file:
        text = file.read().replace('bus = "ide"', 'bus = "virtio"', 1)
    with open(path, "w") as file:
        file.write(text)
    window.find(Role.LIST_ITEM, re.compile("^new, Off"))
    window.expect("the installer is in the drive", medium() == [sys.argv[1]])

    step("the installer ends")
    window.press("Start")
    window.wait_for_text("“new” seems to be installed", 120)
    window.release()
    window.picture("seems")
    window.press("Eject Installer")
    window.wait_for_text("The installer was ejected")
    window.wait("an empty drive from now on", lambda: medium() == [None])

    step("what it boots next is the disk, on which there is nothing to boot")
    window.choose("Reset or Force Off", "r")
    window.press("Reset")
    window.wait_for_guest("new", "No bootable device")

    step("leave")
    window.release()
    window.keys("ctrl+q")
    window.wait_for_text("Still Running")
    window.press("Force Off")
    window.wait_for_end()


run(scenario)
