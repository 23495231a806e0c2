"""A file that is opened with Guesthouse, and "New Machine" of the desktop entry, as the first process and as a later one: open.py ISO."""

import os
import shutil
import subprocess
import sys

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

    step("while the wizard is open, it takes the file")
    later(window, "--", sys.argv[1])
    window.wait_for_text("(?m)^hello$")
    window.press("Cancel")
    window.wait("the wizard to close", lambda: not source(window))

    step("New Machine")
    later(window, "--new")
    window.find(Role.BUTTON, "Choose…")
    window.expect("no file is chosen", "Supported" not in window.text())


run(scenario, arguments=("open", os.path.abspath(sys.argv[1])))
