"""A machine's screen fills either of two monitors: monitors.py ISO, whose program says hello."""

import os
import subprocess
import sys
import time

import display
from window import ALIKE, Role, likeness, run, step

ACROSS, DOWN = 1024, 768
FIRST, SECOND = 0, 1


def place(monitor):
    return monitor * ACROSS, 0, ACROSS, DOWN


def wait_for_window(window, monitor):
    """Waits until the window fills this monitor and no part of another."""

    def there():
        geometry = window.geometry()
        return (geometry["X"], geometry["Y"], geometry["WIDTH"], geometry["HEIGHT"]) == place(monitor)

    window.wait(f"a window that fills monitor {monitor}", there)


def wait_for_screen(window, monitor, picture):
    """Waits until the guest's screen fills this monitor, and is not on the other."""
    wait_for_window(window, monitor)

    def shown(here):
        left, top, width, height = window.place(window.find(Role.IMAGE, "Guest screen"))
        elsewhere = (here - monitor) * ACROSS
        return likeness(window.own("hello"), window.picture(picture), (left + elsewhere, top, width, height))

    window.wait(f"the guest's screen on monitor {monitor}", lambda: shown(monitor) > ALIKE)
    other = shown(1 - monitor)
    window.expect(f"it is not on the other, which is like it by {other:.2f}", other < ALIKE / 2)


def leave(window, before):
    window.release()
    window.keys("F11")
    window.wait("the window as before", lambda: window.size() == before)


def display_size():
    command = ["xdotool", "getdisplaygeometry"]
    return tuple(map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))


def choose_monitor(window, monitor):
    window.release()
    window.choose("Machine Menu", "m")
    time.sleep(0.5)
    # First comes the way back.
    window.keys(*["Down"] * (monitor + 1), "Return")


def scenario(window):
    window.wait_for_text("No Machines Yet")
    window.guesthouse("create", "hello", "--iso", sys.argv[1], "--disk", "none")
    window.find(Role.LIST_ITEM, "hello, Off")
    window.press("Start")
    window.wait_for_guest("hello", "Guesthouse says hello:")
    window.wait_for_picture("hello")
    before = window.size()

    step("full screen where the window is")
    window.release()
    window.keys("F11")
    wait_for_screen(window, FIRST, "first")
    leave(window, before)

    step("on the second monitor")
    choose_monitor(window, SECOND)
    wait_for_screen(window, SECOND, "second")
    window.type_to_guest("typed there")
    window.wait_for_guest("hello", "typed there")
    leave(window, before)

    step("there the next time too, until another is chosen")
    window.keys("F11")
    wait_for_screen(window, SECOND, "again")
    leave(window, before)
    choose_monitor(window, FIRST)
    wait_for_screen(window, FIRST, "other")
    leave(window, before)
    choose_monitor(window, SECOND)
    wait_for_screen(window, SECOND, "back")
    leave(window, before)

    step("a monitor that is taken away is not waited for")
    display.connect_monitors(os.environ["GUESTHOUSE_WINDOW_MONITORS"], f"{ACROSS}x{DOWN}", 1)
    window.wait("one monitor", lambda: display_size() == (ACROSS, DOWN))
    # The program hears of it by and by.
    time.sleep(1)
    before = window.size()
    window.keys("F11")
    wait_for_window(window, FIRST)
    leave(window, before)

    step("leave")
    window.keys("ctrl+q")
    window.press("Force Off")
    window.wait_for_end()


run(scenario, size=f"{ACROSS}x{DOWN}", monitors=2)
