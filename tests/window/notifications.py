"""What the desktop says of machines while nobody looks at the window, with buttons: notifications.py ISO, which fills a disk."""

import os
import re
import subprocess
import sys

from gi.repository import Gio, GLib
from window import Role, run, step

APPLICATION = "io.github.guesthouse_vm.Guesthouse"
DESKTOP = """<node><interface name="org.gtk.Notifications">
<method name="AddNotification"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/></method>
<method name="RemoveNotification"><arg type="s" direction="in"/><arg type="s" direction="in"/></method>
</interface></node>"""


class Notifications:
    """A desktop that keeps what it is told."""

    def __init__(self):
        self.shown = {}
        bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        interface = Gio.DBusNodeInfo.new_for_xml(DESKTOP).interfaces[0]
        bus.register_object("/org/gtk/Notifications", interface, self.call, None, None)
        arguments = GLib.Variant("(su)", ("org.gtk.Notifications", 0))
        daemon = "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
        bus.call_sync(*daemon, "RequestName", arguments, None, Gio.DBusCallFlags.NONE, 10000, None)
        self.bus = bus

    def call(self, _bus, _sender, _path, _interface, method, parameters, invocation):
        application, identifier, *rest = parameters.unpack()
        if method == "AddNotification":
            self.shown[identifier] = rest[0]
        else:
            self.shown.pop(identifier, None)
        invocation.return_value(None)

    def press(self, action, target):
        """As the desktop does when a button is pressed."""
        arguments = GLib.Variant("(sava{sv})", (action.removeprefix("app."), [target], {}))
        path = "/io/github/guesthouse_vm/Guesthouse"
        self.bus.call_sync(APPLICATION, path, "org.freedesktop.Application", "ActivateAction", arguments, None, Gio.DBusCallFlags.NONE, 10000, None)


desktop = None


def prepare(_machines):
    global desktop
    desktop = Notifications()


def scenario(window):
    def wait(what, condition, seconds=90):
        def heard():
            window.listen()
            return condition()

        return window.wait(what, heard, seconds)

    def told(title):
        return next((told for told in desktop.shown.values() if told["title"] == title), None)

    window.wait_for_text("No Machines Yet")
    window.guesthouse("create", "full", "--iso", sys.argv[1], "--disk", "64M")
    window.find(Role.LIST_ITEM, "full, Off")

    step("a disk fills while another window is in front")
    limit = lambda bytes: subprocess.run(["prlimit", "--pid", str(window.program.pid), f"--fsize={bytes}:unlimited"], check=True)
    limit(1 << 20)
    window.press("Start")
    window.wait_for_state("full", "running")
    subprocess.run(["xdotool", "getactivewindow", "windowminimize"], check=True)
    window.wait("no window in front", lambda: window.in_front() == "")
    window.wait_for_state("full", "paused", 90)
    notification = wait("the notification", lambda: told("“full” is paused"))
    window.expect(f"it says why: {notification}", "no space is left" in notification["body"])
    buttons = notification["buttons"]
    window.expect("it has a button", [button["label"] for button in buttons] == ["Resume"])

    step("its button goes on when there is room")
    limit("unlimited")
    desktop.press(buttons[0]["action"], GLib.Variant("s", buttons[0]["target"]))
    window.wait_for_state("full", "running")
    wait("the notification's end", lambda: not told("“full” is paused"))

    step("a machine that went off is told, and shown by a click")
    window.guesthouse("poweroff", "full")
    notification = wait("the notification", lambda: told("“full” is off"))
    desktop.press(notification["default-action"], GLib.Variant("s", notification["default-action-target"]))
    window.wait("the window", lambda: window.in_front() == "Guesthouse")
    window.find(Role.LIST_ITEM, "full, Off")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


if __name__ == "__main__":
    run(scenario, prepare=prepare)
