"""A file that is opened with Guesthouse or dropped on it, and "New Machine" of the desktop entry, as the first process and as a later one: open.py ISO."""

import os
import shutil
import subprocess
import sys

from drag import drop
from window import Role, run, step


def later(window, *arguments):
    """Starts the program again, which must hand over and end."""
    result = subprocess.run([window.binary, "open", *arguments], env=window.environment, capture_output=True, text=True, timeout=30)
    window.expect(f"the second process ends well: {result.stderr}", result.returncode == 0)


def source(window):
    return [node for node in window.find_all(Role.DIALOG, "New Machine")]


def scenario(window):
    step("the first process")
    window.wait_for_text("Supported · Optical disc")
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))

    step("an address, and a name that is no option")
    name = "--other medium.iso"
    shutil.copy(sys.argv[1], name)
    later(window, "file://" + os.path.abspath(name).replace(" ", "%20"))
    window.wait_for_text("other medium")
    window.wait_for_text("Supported · Optical disc")
    window.picture("chosen")
    row = window.find(Role.LIST_ITEM, name)
    window.expect("its folder stands beneath its name", os.getcwd() in [inner.name for inner in row.walk()])
    window.expect_names("the wizard with a file")

    step("without it, and typed")
    window.press("Clear file")
    window.wait("no file", lambda: "Supported" not in window.text())
    window.enter("File", os.path.abspath(name))
    window.wait_for_text("Supported · Optical disc")

    step("while the wizard is open, it takes the file")
    later(window, "--", sys.argv[1])
    window.wait_for_text("(?m)^hello$")
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))

    step("New Machine")
    later(window, "--new")
    window.find(Role.BUTTON, "Choose…")
    window.expect("no file is chosen", "Supported" not in window.text())
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))

    step("dropped on the empty window")
    drop(window, sys.argv[1], window.find(Role.LABEL, "No Machines Yet"))
    window.wait_for_text("Supported · Optical disc")
    window.wait_for_text("(?m)^hello$")
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))

    step("dropped on the list, and on a machine that is off")
    window.guesthouse("create", "runs", "--disk", "none")
    for node in (Role.LIST_ITEM, "runs, Off"), (Role.BUTTON, "Start"):
        drop(window, sys.argv[1], window.find(*node))
        window.wait_for_text("Supported · Optical disc")
        window.press("Cancel")
        window.wait("the wizard to close", lambda: not source(window))

    step("dropped on the screen of a machine that runs: for its drive, or another machine")
    window.press("Start")
    window.wait_for_state("runs", "running")
    screen = window.find(Role.IMAGE, "Guest screen")
    window.release()
    drop(window, sys.argv[1], screen)
    window.wait_for_text("Insert “hello.iso”\\?")
    window.picture("insert")
    window.press("Insert")
    window.wait("the disc in the drive", lambda: "hello.iso" in window.guesthouse("show", "runs"))
    drop(window, sys.argv[1], screen)
    window.press("New Machine")
    window.wait_for_text("Supported · Optical disc")
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))
    window.guesthouse("poweroff", "runs")


run(scenario, arguments=("open", os.path.abspath(sys.argv[1])))
