"""A machine's life in the window: machine.py ISO, whose program says hello and echoes keys."""

import os
import re
import shutil
import sys

from window import Role, correlation, grey, run, step

HELLO = "Guesthouse says hello: "
TYPED = "Key 7!" * 12


def scenario(window):
    # The window's program looks at a copy, which is deleted on the way.
    medium = os.path.abspath("hello.iso")
    shutil.copy(sys.argv[1], medium)
    trash = os.path.join(os.environ["XDG_DATA_HOME"], "Trash", "files")

    step("the wizard")
    window.wait_for_text("No Machines Yet")
    window.press("New Machine")
    window.enter("File", medium)
    window.wait_for_text("Supported · Optical disc")
    window.press("Create")

    step("the guest's screen")
    window.wait_for_state("hello", "running")
    window.find(Role.LIST_ITEM, re.compile("^hello, Running"))
    window.wait_for_guest("hello", HELLO.strip())
    window.wait_for_picture("hello")
    before, place = window.drawn()
    before = grey(before, "-crop", "{2}x{3}+{0}+{1}".format(*place))

    step("a key reaches the guest, and what it shows the window")
    # The screen of a machine just made has the keyboard.
    window.type_to_guest(TYPED)
    window.wait_for_guest("hello", HELLO + TYPED[:20])
    window.wait_for_picture("hello")
    after, place = window.drawn()
    after = grey(after, "-crop", "{2}x{3}+{0}+{1}".format(*place))
    window.expect("what was typed is drawn", correlation(before, after) < 0.98)

    step("pause and resume")
    window.release()
    window.press("Pause")
    window.wait_for_state("hello", "paused")
    window.find(Role.LIST_ITEM, re.compile("^hello, Paused"))
    window.press("Resume")
    window.wait_for_state("hello", "running")

    step("reset")
    window.choose("Reset or Force Off", "r")
    window.wait_for_text("Reset “hello”\\?")
    window.press("Reset")
    window.wait("the screen of the firmware", lambda: TYPED[:20] not in window.guest_text("hello"))
    window.wait_for_guest("hello", HELLO.strip())
    window.wait_for_picture("hello")

    step("force off")
    window.choose("Reset or Force Off", "f")
    window.wait_for_text("Force “hello” off\\?")
    window.press("Force Off")
    window.wait_for_state("hello", "off")
    window.find(Role.LIST_ITEM, re.compile("^hello, Off"))

    step("delete and undo")
    window.choose("Machine Menu", "d")
    window.wait_for_text("“hello” is in the Trash")
    window.wait_for_text("No Machines Yet")
    window.expect("the machine is in the Trash", len(os.listdir(trash)) == 1)
    window.press("Undo")
    window.find(Role.LIST_ITEM, re.compile("^hello, Off"))
    window.expect("the Trash is empty", not os.listdir(trash))
    window.expect("the medium was left alone", os.path.exists(medium))

    step("a medium that is gone")
    os.rename(medium, medium + ".away")
    window.press("Start")
    window.wait_for_text("“hello” could not be started")
    window.wait_for_text(re.escape(medium) + ".*choose another file")
    window.picture("not-started")
    window.press("Close")
    os.rename(medium + ".away", medium)
    window.press("Start")
    window.wait_for_guest("hello", HELLO.strip())
    window.wait_for_picture("hello")

    step("leave")
    window.release()
    window.keys("ctrl+q")
    window.wait_for_text("1 Machine Is Still Running")
    window.press("Force Off")
    window.wait_for_end()


run(scenario)
