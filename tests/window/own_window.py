"""A machine's screen in a window of its own: own_window.py ISO, whose program says hello and echoes keys."""

import re
import shutil
import subprocess
import sys
import time

from gi.repository import GLib

from drag import drop
from window import Role, run, step

TYPED = "Key 7!"


def point(x, y, *then):
    subprocess.run(["xdotool", "mousemove", str(x), str(y), *then], check=True)


def wait_for_front(window, title):
    window.wait(f"the window {title!r} in front", lambda: window.in_front() == title)


def copy(window, text, code=None):
    """Puts a text on the clipboard, from a field of the window; `code` is that of one more character, in hexadecimal."""
    window.keys("ctrl+f")
    window.find((Role.TEXT, Role.ENTRY), "Search Machines")
    window.type(text)
    if code:
        window.keys("ctrl+shift+u")
        window.type(f"{code} ")
    window.keys("ctrl+a", "ctrl+c", "Escape")


def scale(window, letter):
    """Chooses in the menu how the picture is fitted."""
    window.choose("Machine Menu", "s")
    time.sleep(0.5)
    window.keys(letter)


def wait_for_wish(window):
    """Waits until the guest is asked for a screen that fills its place, in steps of eight pixels across."""

    def wished():
        with open("program.log", errors="replace") as log:
            text = re.sub(r"\x1b\[[0-9;]*m", "", log.read())
        found = re.findall(r"asked for another screen width=(\d+) height=(\d+)", text)
        _, _, width, height = window.extents(window.find(Role.IMAGE, "Guest screen"))
        return found and tuple(map(int, found[-1])) == (max(width, 640) // 8 * 8, max(height, 480))

    window.wait("a wish for a screen as large as its place", wished)


def scenario(window):
    window.wait_for_text("No Machines Yet")
    window.guesthouse("create", "hello", "--iso", sys.argv[1], "--disk", "none")
    window.guesthouse("set", "hello", "graphics=on")
    window.find(Role.LIST_ITEM, "hello, Off")
    copy(window, "Typed: 5 < 6!")

    step("a window for a machine that is off, which starts it there")
    window.press("Open in New Window")
    wait_for_front(window, "hello")
    window.wait_for_text("The machine is off")
    window.expect_names("the machine's window")
    window.picture("off")
    window.press("Start")
    window.wait_for_state("hello", "running")
    window.wait_for_guest("hello", "Guesthouse says hello:")
    window.wait_for_text("In a Window of Its Own")

    step("the guest has the keyboard there")
    window.type_to_guest(TYPED)
    window.wait_for_guest("hello", TYPED)
    window.wait_for_picture("hello")
    window.picture("screen")
    wait_for_wish(window)

    step("what is written there can be read by those who do not see it")
    said = f"Guesthouse says hello: {TYPED}"
    screen = window.find(Role.IMAGE, "Guest screen")
    window.wait("the text of the guest's screen", lambda: said in window.content(screen))
    text = window.content(screen)
    start = text.index(said)
    interface = "org.a11y.atspi.Text"
    line = window.call(screen.bus, screen.path, interface, "GetStringAtOffset", GLib.Variant("(iu)", (start, 3)))
    window.expect(f"a line of it: {line}", line == (said, start, start + len(said)))
    caret = window.call(screen.bus, screen.path, "org.freedesktop.DBus.Properties", "Get", GLib.Variant("(ss)", (interface, "CaretOffset")))[0]
    window.expect(f"the caret is behind what was written last, at {caret}", caret == start + len(said))

    step("the clipboard is typed")
    window.release()
    window.choose("Send Keys", "b")
    window.wait_for_guest("hello", f"{TYPED}Typed: 5 < 6!")

    step("it is typed by the layout of the guest")
    window.release()
    window.choose("Send Keys", "l")
    window.focus(window.find(Role.COMBO_BOX, "Layout"))
    window.keys("space")
    window.type("German")
    window.wait_for_text("German")
    window.keys("Down", "Return")
    window.picture("layout")
    window.press("Set")
    window.focus(window.find(Role.IMAGE, "Guest screen"))
    window.release()
    # The program of this guest reads its keyboard as one of the United States.
    window.choose("Send Keys", "b")
    window.wait_for_guest("hello", "5 < 6!Tzped> 5 ")

    step("larger and smaller")
    window.release()
    scale(window, "o")
    across = lambda: window.extents(window.find(Role.IMAGE, "Guest screen"))[2]
    window.keys(*["ctrl+plus"] * 5)
    window.wait("250 % of 720 pixels", lambda: across() == 1800)
    window.picture("larger")
    point(500, 400, "keydown", "ctrl", "click", "5", "keyup", "ctrl")
    window.wait("200 %", lambda: across() == 1440)
    window.picture("smaller")
    window.release()
    scale(window, "g")
    window.wait("a window as large as the guest's screen", lambda: window.size()[0] in range(720, 760))
    window.picture("follows")
    scale(window, "f")

    step("a disc is dropped on it: for its drive, or another machine")
    window.release()
    shutil.copy(sys.argv[1], "dropped.iso")
    drop(window, "dropped.iso", window.find(Role.IMAGE, "Guest screen"))
    window.wait_for_text("Insert “dropped.iso”\\?")
    window.press("Insert")
    window.wait("the disc in the drive", lambda: "dropped.iso" in window.guesthouse("show", "hello"))
    drop(window, "dropped.iso", window.find(Role.IMAGE, "Guest screen"))
    window.press("New Machine")
    wait_for_front(window, "Guesthouse")
    window.wait_for_text("Supported · Optical disc")
    window.press("Cancel")
    window.press("Show Window")
    wait_for_front(window, "hello")

    step("full screen, with a bar at the upper edge")
    window.release()
    before = window.size()
    window.keys("F11")
    window.wait("full screen", lambda: window.size() == (1280, 800))
    window.wait("no bar", lambda: not window.find_all(Role.BUTTON, "Leave Full Screen"))
    window.picture("full")
    wait_for_wish(window)
    # Without a compositor the window has a border.
    point(640, 9)
    point(640, 6)
    window.find(Role.BUTTON, "Leave Full Screen")
    window.picture("bar")
    point(640, 400)
    window.wait("no bar", lambda: not window.find_all(Role.BUTTON, "Leave Full Screen"))
    # With the bar went the focus, to the screen.
    window.release()
    window.keys("F11")
    window.wait("the window as before", lambda: window.size() == before)

    step("closed, the machine goes on, in the main window")
    subprocess.run(["xdotool", "getactivewindow", "windowsize", "760", "560"], check=True)
    window.wait("a smaller window", lambda: window.size() != before)
    small = window.size()
    window.keys("ctrl+w")
    wait_for_front(window, "Guesthouse")
    window.expect("the machine runs on", window.state("hello") == "running")
    window.wait_for_picture("hello")

    step("what has no key is named, and nothing is typed")
    window.release()
    copy(window, "caf", "4e2d")
    window.choose("Machine Menu", "k")
    window.find(Role.MENU_ITEM)
    window.keys("b")
    window.wait_for_text("The clipboard was not typed")
    window.wait_for_text("“\u4e2d”")
    window.picture("no-key")
    window.press("Close")
    window.expect("nothing was typed", "caf" not in window.guest_text("hello"))

    step("a double click on the row opens it, as large as it was")
    x, y, width, height = window.place(window.find(Role.LIST_ITEM, "hello, Running"))
    point(x + width // 2, y + height // 2, "click", "--repeat", "2", "--delay", "80", "1")
    wait_for_front(window, "hello")
    window.wait(f"a window of {small}", lambda: window.size() == small)
    window.picture("small")

    step("pause, resume and force off there")
    window.wait_for_picture("hello")
    window.release()
    window.press("Pause")
    window.wait_for_state("hello", "paused")
    window.press("Resume")
    window.wait_for_state("hello", "running")
    window.choose("Reset or Force Off", "f")
    window.wait_for_text("Force “hello” off\\?")
    window.press("Force Off")
    window.wait_for_state("hello", "off")
    window.wait_for_text("The machine is off")

    step("the window of a machine that is gone goes too")
    window.guesthouse("delete", "hello")
    wait_for_front(window, "Guesthouse")
    window.wait_for_text("No Machines Yet")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, GUESTHOUSE_LOG="guesthouse_engine::virtio=debug,info")
