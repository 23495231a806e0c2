"""The list of machines: searched, sorted, grouped by what they are doing, with their screens; names written in place, several machines started and
shut down together: library.py ISO, whose program says hello."""

import os
import re
import shutil
import subprocess
import sys

from window import Role, correlation, grey, run, step

MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-{number:012d}"
name = "{name}"
generation = 1

[memory]
mebibytes = 32

[[drive]]
kind = "optical"
file = "{medium}"
"""
NAMES = ["vm 10", "vm 9", "Alpha", "build server"]


def prepare(machines):
    for number, name in enumerate(NAMES):
        folder = os.path.join(machines, name.replace(" ", "-"))
        os.mkdir(folder)
        with open(os.path.join(folder, "machine.toml"), "w") as file:
            file.write(MACHINE.format(number=number, name=name, medium=os.path.abspath(sys.argv[1])))
    # A picture of what its screen showed last.
    subprocess.run(["convert", "-size", "320x200", "gradient:red-blue", os.path.join(machines, "vm-9", "screen.png")], check=True)
    broken = os.path.join(machines, "broken")
    os.mkdir(broken)
    with open(os.path.join(broken, "machine.toml"), "w") as file:
        file.write("name = \n")


def rows(window):
    lists = [node for node in window.find_all(Role.LIST, "Machines")]
    return [node for node in (lists[0].walk() if lists else []) if node.role == Role.LIST_ITEM]


def names(window):
    return [row.name.split(",")[0] for row in rows(window)]


def headings(window):
    lists = window.find_all(Role.LIST, "Machines")
    labels = [node.name for node in (lists[0].walk() if lists else []) if node.role == Role.LABEL]
    return [name for name in labels if name in ("Running", "Needs Attention", "Off")]


def wait_for_names(window, expected):
    window.wait(f"the rows {expected}", lambda: names(window) == expected)


def colours(window, row):
    """How many colours the row's picture has: a sign has few."""
    x, y, width, height = window.place(row)
    command = ["convert", window.picture("row"), "-crop", f"70x{height}+{x}+{y}", "+repage", "-format", "%k", "info:"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def scenario(window):
    step("groups, and names as people count")
    wait_for_names(window, ["broken", "Alpha", "build server", "vm 9", "vm 10"])
    window.wait_for_text("Needs Attention")
    window.expect_names("the list")
    window.picture("groups")

    step("the screen that a machine showed last")
    window.wait("its picture", lambda: colours(window, window.find(Role.LIST_ITEM, re.compile("^vm 9,"))) > 60)

    step("search")
    window.keys("ctrl+f")
    window.type("ser BUI")
    wait_for_names(window, ["build server"])
    window.keys("ctrl+a", "BackSpace")
    window.type("nothing like it")
    window.wait_for_text("No Machine Found")
    window.picture("nothing")
    window.keys("Escape")
    wait_for_names(window, ["broken", "Alpha", "build server", "vm 9", "vm 10"])

    step("what runs comes first")
    window.choose_machine("vm 10")
    window.keys("ctrl+r")
    window.wait_for_state("vm 10", "running")
    wait_for_names(window, ["vm 10", "broken", "Alpha", "build server", "vm 9"])
    window.wait_for_guest("vm 10", "Guesthouse says hello")
    window.wait("its screen in the row", lambda: colours(window, rows(window)[0]) > 12)
    window.picture("running")

    step("sorted by last use, without groups")
    window.release()
    window.choose("Main Menu", "g")
    wait_for_names(window, ["Alpha", "broken", "build server", "vm 9", "vm 10"])
    window.choose("Main Menu", "u")
    window.wait("vm 10 first", lambda: names(window)[0] == "vm 10")
    window.choose("Main Menu", "n")
    window.choose("Main Menu", "g")
    wait_for_names(window, ["vm 10", "broken", "Alpha", "build server", "vm 9"])

    step("a name written in place")
    window.choose_machine("Alpha")
    window.keys("F2")
    window.find(Role.TEXT, "Name")
    window.keys("ctrl+a")
    window.type("VM 9")
    window.wait_for_text("A machine called VM 9 exists already")
    window.expect_names("the row whose name is written")
    window.picture("rename")
    window.keys("Return")
    window.expect("nothing was renamed", "Alpha" in window.guesthouse("list"))
    window.keys("ctrl+a")
    window.type("Omega")
    window.keys("Return")
    wait_for_names(window, ["vm 10", "broken", "build server", "Omega", "vm 9"])
    window.expect("the machine is called so", "Omega" in window.guesthouse("list"))
    window.keys("F2")
    window.find(Role.TEXT, "Name")
    window.type("never")
    window.keys("Escape")
    window.wait("the row as before", lambda: not window.find_all(Role.TEXT, "Name"))
    window.expect("Escape changes nothing", "never" not in window.guesthouse("list"))

    step("several at once")
    # Guests that stand still leave the processors to those that are started.
    window.guesthouse("pause", "vm 10")
    window.find(Role.LIST_ITEM, re.compile("^vm 10, Paused"))
    window.keys("End", "shift+Up")
    window.wait_for_text("2 Machines Selected")
    window.expect_names("the page of several machines")
    window.picture("several")
    window.press("Start")
    for name in ("Omega", "vm 9"):
        window.wait_for_state(name, "running")
    wait_for_names(window, ["Omega", "vm 9", "vm 10", "broken", "build server"])
    window.wait_for_text("2 of them are running")
    window.press("Shut Down")
    window.wait_for_text("The power buttons were pressed")
    window.picture("shut-down")

    step("a machine that leaves its group, but not its place, leaves the others their heading")
    for name in ("Omega", "vm 9", "vm 10"):
        window.guesthouse("poweroff", name)
    shutil.rmtree(os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "broken"))
    wait_for_names(window, ["build server", "Omega", "vm 9", "vm 10"])
    window.expect("one heading", headings(window) == ["Off"])
    window.choose_machine("build server")
    window.keys("ctrl+r")
    window.wait("a second heading", lambda: headings(window) == ["Running", "Off"])
    wait_for_names(window, ["build server", "Omega", "vm 9", "vm 10"])
    window.picture("headings")

    step("leave")
    window.wait_for_guest("build server", "Guesthouse says hello")
    window.release()
    window.keys("ctrl+q")
    window.wait_for_text("1 Machine Is Still Running")
    window.press("Force Off")
    window.wait_for_end()


run(scenario, prepare=prepare)
