"""Machines that another process runs, in the window: elsewhere.py ISO, whose program says hello."""

import os
import re
import subprocess
import sys

from window import Role, run, step


def prepare(_machines):
    binary = os.environ["GUESTHOUSE_BINARY"]
    for name in ("early", "late"):
        subprocess.run([binary, "create", name, "--iso", sys.argv[1], "--disk", "none"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([binary, "start", "early"], check=True)


def brightness(picture, row):
    """How bright what stands at the left of a row is."""
    left, top, _, height = row
    place = f"32x24+{left + 24}+{top + height // 2 - 12}"
    command = ["convert", picture, "-crop", place, "+repage", "-colorspace", "gray", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def scenario(window):
    step("one that ran before the window was there")
    window.find(Role.LIST_ITEM, re.compile("^early, Running"))
    window.find(Role.LIST_ITEM, "late, Off")
    window.wait_for_guest("early", "Guesthouse says hello:")
    window.wait_for_picture("early")
    window.picture("page")

    step("its screen is in its row too")
    row = window.place(window.find(Role.LIST_ITEM, re.compile("^early, Running")))
    window.wait("the guest's dark screen in a light list", lambda: brightness(window.picture("row"), row) < 0.5)

    step("its screen takes keys, and the clipboard")
    window.keys("ctrl+f")
    window.find((Role.TEXT, Role.ENTRY), "Search Machines")
    window.type("Clip!")
    window.keys("ctrl+a", "ctrl+c", "Escape")
    window.focus(window.find(Role.IMAGE, "Guest screen"))
    window.type_to_guest("Key 7!")
    window.wait_for_guest("early", "Guesthouse says hello: Key 7!")
    window.release()
    window.choose("Machine Menu", "k")
    window.find(Role.MENU_ITEM)
    window.keys("b")
    window.wait_for_guest("early", "Key 7!Clip!")
    window.wait_for_picture("early")

    step("the views of such a machine")
    for number, view in enumerate(("Display", "Overview", "Hardware", "Snapshots", "Serial", "Log"), 1):
        window.keys(f"ctrl+{number}")
        window.wait(f"the view {view}", lambda: window.selected(view))
        window.expect_names(f"the view {view}")
    window.keys("ctrl+1")

    step("paused, resumed and forced off from the window")
    window.focus(window.find(Role.IMAGE, "Guest screen"))
    window.release()
    window.press("Pause")
    window.wait_for_state("early", "paused")
    window.find(Role.LIST_ITEM, re.compile("^early, Paused"))
    window.press("Resume")
    window.wait_for_state("early", "running")
    window.find(Role.LIST_ITEM, re.compile("^early, Running"))
    window.press("Shut Down")
    window.wait_for_text("The power button was pressed")
    window.choose("Reset or Force Off", "f")
    window.wait_for_text("Force “early” off\\?")
    window.press("Force Off")
    window.wait_for_state("early", "off")
    window.find(Role.LIST_ITEM, "early, Off")
    window.wait_for_text("The machine is off")

    step("one that is started and paused beside the window")
    window.guesthouse("start", "late")
    window.find(Role.LIST_ITEM, re.compile("^late, Running"))
    window.guesthouse("pause", "late")
    window.find(Role.LIST_ITEM, re.compile("^late, Paused"))

    step("the window does not wait for it")
    window.keys("ctrl+q")
    window.wait_for_end()
    window.expect("it is paused as before", window.state("late") == "paused")
    window.guesthouse("poweroff", "late")


run(scenario, prepare=prepare)
