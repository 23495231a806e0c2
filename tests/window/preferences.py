"""What a person prefers holds at once and the next time: preferences.py ISO."""

import re
import subprocess
import sys

from window import Role, run, step


def brightness(picture):
    command = ["convert", picture, "-colorspace", "gray", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def choose(window, title, value, downs):
    """Chooses a value of a row that has several."""
    window.focus(window.find(Role.COMBO_BOX, title))
    window.keys("space")
    window.wait_for_text(value)
    window.keys(*["Down"] * downs, "Return")


def scenario(window):
    step("the preferences")
    window.wait_for_text("No Machines Yet")
    light = brightness(window.picture("light"))
    window.keys("ctrl+comma")
    window.wait_for_text("Colour Scheme")
    window.expect_names("the preferences")
    window.picture("preferences")
    choose(window, "Colour Scheme", "Dark", 2)
    window.wait("a dark window", lambda: brightness(window.picture("dark")) < light / 2)
    choose(window, "When the Window Is Closed", "Keep them running", 1)
    choose(window, "Release Keys", "Ctrl.Shift", 2)

    step("key combinations of one's own")
    window.press(re.compile("Add a Combination"))
    window.press("Shift", Role.CHECK_BOX)
    window.focus(window.find(Role.COMBO_BOX, "Key"))
    window.keys("space")
    window.type("Page D")
    window.wait_for_text("Page Down")
    window.keys("Down", "Return")
    window.expect_names("the dialog for a combination")
    window.picture("combination")
    window.press("Add")
    window.find(Role.BUTTON, "Remove Ctrl+Alt+Shift+Page Down")
    window.picture("own-keys")
    window.keys("Escape")
    window.wait("the dialog's end", lambda: "Colour Scheme" not in window.text())

    step("machines that run without a window")
    window.guesthouse("create", "kept", "--iso", sys.argv[1], "--disk", "none")
    window.find(Role.LIST_ITEM, "kept, Off")
    window.press("Start")
    window.wait_for_state("kept", "running")
    window.wait_for_text("Press Ctrl.Shift")
    window.keys("ctrl+shift")
    window.keys("ctrl+w")
    window.wait("no window", lambda: not window.tree().children)
    window.expect("the machine runs on", window.state("kept") == "running")

    step("the window again")
    second = subprocess.run([window.binary], env=window.environment, timeout=30)
    window.expect("the second program only showed the first one's window", second.returncode == 0)
    window.wait_for_text("kept")
    window.keys("ctrl+shift", "ctrl+w")
    window.wait("no window", lambda: not window.tree().children)

    step("the program ends with its last machine")
    window.guesthouse("poweroff", "kept")
    window.wait_for_end()


run(scenario, GSETTINGS_BACKEND="keyfile")
