"""What goes wrong while machines run, and what becomes of it: trouble.py HELLO CRASH, where the guest of CRASH loses its way at the first key.

One machine runs through all of it and must not notice: one crashes in the background, the portals refuse what they are asked for, an image
that is imported is broken, another has no room, the session ends."""

import os
import re
import signal
import subprocess
import sys

from gi.repository import Gio, GLib
from notifications import Notifications
from window import Role, run, step

PORTAL = """<node>
<interface name="org.freedesktop.portal.Background">
<method name="RequestBackground"><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/><arg type="o" direction="out"/></method>
<property name="version" type="u" access="read"/>
</interface>
</node>"""


class RefusingPortal:
    """A desktop's portal that is there, and says no."""

    PATH = "/org/freedesktop/portal/desktop"

    def __init__(self):
        self.asked = []
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        for interface in Gio.DBusNodeInfo.new_for_xml(PORTAL).interfaces:
            self.bus.register_object(self.PATH, interface, self.call, lambda *_: GLib.Variant("u", 3), None)
        arguments = GLib.Variant("(su)", ("org.freedesktop.portal.Desktop", 0))
        daemon = "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
        self.bus.call_sync(*daemon, "RequestName", arguments, None, Gio.DBusCallFlags.NONE, 10000, None)

    def call(self, _bus, sender, _path, _interface, method, parameters, invocation):
        self.asked.append(method)
        token = parameters.unpack()[-1]["handle_token"]
        request = f"{self.PATH}/request/{sender[1:].replace('.', '_')}/{token}"
        invocation.return_value(GLib.Variant("(o)", (request,)))
        # 2: ended in another way than by the person's choice.
        answer = GLib.Variant("(ua{sv})", (2, {}))
        self.bus.emit_signal(sender, request, "org.freedesktop.portal.Request", "Response", answer)


desktop = portal = None


def prepare(_machines):
    global desktop, portal
    desktop, portal = Notifications(), RefusingPortal()
    binary = os.environ["GUESTHOUSE_BINARY"]
    for name, medium in (("steady", sys.argv[1]), ("loser", sys.argv[2])):
        subprocess.run([binary, "create", name, "--iso", medium, "--disk", "none"], check=True, stdout=subprocess.DEVNULL)


def scenario(window):
    machines = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines")

    def wait(what, condition, seconds=60):
        def heard():
            window.listen()
            return condition()

        return window.wait(what, heard, seconds)

    typed = []

    def still_runs():
        """The machine that runs through all of it takes a key still."""
        typed.append("x")
        window.guesthouse("type", "steady", "x")
        window.wait_for_guest("steady", "Guesthouse says hello: " + "".join(typed))

    step("two machines run")
    for name in ("loser", "steady"):
        window.choose_machine(name)
        window.press("Start")
        window.wait_for_guest(name, "Booting from DVD/CD")
        window.release()
    window.wait_for_guest("steady", "Guesthouse says hello:")

    step("one crashes while nobody looks")
    subprocess.run(["xdotool", "getactivewindow", "windowminimize"], check=True)
    window.wait("no window in front", lambda: window.in_front() == "")

    def crashed():
        window.guesthouse("type", "loser", "x", check=False)
        return next((told for told in desktop.shown.values() if told["title"] == "“loser” cannot go on"), None)

    notification = wait("the notification", crashed)
    window.expect(f"it says why: {notification['body']}", "it has lost its way" in notification["body"])
    button = notification["buttons"][0]
    desktop.press(button["action"], GLib.Variant("s", button["target"]))
    wait("the window", lambda: window.in_front() == "Guesthouse")
    window.wait_for_text("The Machine Cannot Go On")
    window.wait_for_text("it has lost its way")
    window.picture("crashed")
    still_runs()

    step("without a portal for files there is the toolkit's dialog, and a broken image is not imported")
    with open("broken.qcow2", "wb") as file:
        file.write(b"QFI\xfb\0\0\0\3" + b"\xff" * 4096)
    window.choose("Main Menu", "i")
    wait("the dialog", lambda: window.in_front() == "Import a Machine or Disk")
    window.choose_file("Import a Machine or Disk", "broken.qcow2")
    window.wait_for_text("(?i)cannot be read|damaged|not a|unknown")
    window.expect("it cannot be imported", not window.can_press("Create"))
    window.picture("broken")
    window.press("Cancel")
    still_runs()

    step("no room for an import")
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", "source.raw", "64M"], check=True)
    with open("source.raw", "r+b") as file:
        file.write(os.urandom(32 << 20))
    # Another format has to be converted.
    subprocess.run(["qemu-img", "convert", "-O", "vhdx", "source.raw", "large.vhdx"], check=True)
    size = os.path.getsize("large.vhdx")
    before = sorted(os.listdir(machines))
    limit = lambda bytes: subprocess.run(["prlimit", "--pid", str(window.program.pid), f"--fsize={bytes}:unlimited"], check=True)
    limit(4 << 20)
    window.choose("Main Menu", "i")
    wait("the dialog", lambda: window.in_front() == "Import a Machine or Disk")
    window.choose_file("Import a Machine or Disk", "large.vhdx")
    window.wait_for_text("Hard disk, vhdx")
    window.press("Create")
    window.wait_for_text("(?i)could not be|was not|no space|too large", 60)
    window.picture("no-room")
    limit("unlimited")
    window.press("Close")
    window.expect("nothing is left of it", sorted(os.listdir(machines)) == before)
    window.expect("what was brought is there", os.path.getsize("large.vhdx") == size)
    still_runs()
    window.press("Cancel")

    step("the desktop refuses to let it run without a window")
    window.keys("ctrl+q")
    window.wait_for_text("1 Machine Is Still Running")
    window.press("Keep Running")
    wait("the portal to be asked", lambda: "RequestBackground" in portal.asked)
    wait("the window", lambda: "cannot run without a window" in window.text())
    window.picture("refused")
    window.press("Close")
    still_runs()

    step("the session ends")
    window.program.send_signal(signal.SIGTERM)
    window.wait_for_text("Shutting Down…")
    window.picture("session")
    window.expect("the guest is asked first", window.state("steady") == "running")
    window.program.send_signal(signal.SIGTERM)
    window.wait_for_end()
    with open(os.path.join(machines, "steady", "machine.log")) as log:
        window.expect("the machine was switched off in order", "The machine is off." in log.read())


if __name__ == "__main__":
    run(scenario, prepare=prepare)
