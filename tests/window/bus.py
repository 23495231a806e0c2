"""Guesthouse on the session bus: the bus starts it, other programs list and work machines and hear what becomes of them, GNOME Shell's search
finds machines: bus.py ISO, whose program says hello."""

import os
import re
import subprocess
import sys
import time

from gi.repository import Gio, GLib
from window import Role, run, step

APPLICATION = "io.github.guesthouse_vm.Guesthouse"
PATH = "/io/github/guesthouse_vm/Guesthouse"
MANAGER = f"{APPLICATION}.Manager"
SEARCH = "org.gnome.Shell.SearchProvider2"
SERVICE = """[D-BUS Service]
Name={name}
Exec={binary} open --gapplication-service
"""


class Bus:
    """What another program sees."""

    def __init__(self):
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.heard = []
        flags = Gio.DBusSignalFlags.NONE
        self.bus.signal_subscribe(APPLICATION, MANAGER, "StateChanged", PATH, None, flags, self.hear)

    def hear(self, _bus, _sender, _path, _interface, _signal, parameters):
        self.heard.append(parameters.unpack())

    def call(self, interface, method, arguments=None, path=PATH):
        flags = Gio.DBusCallFlags.NONE
        return self.bus.call_sync(APPLICATION, path, interface, method, arguments, None, flags, 60000, None).unpack()

    def manage(self, method, *machine):
        return self.call(MANAGER, method, GLib.Variant("(s)", machine) if machine else None)

    def search(self, method, kind, *arguments):
        return self.call(SEARCH, method, GLib.Variant(kind, arguments), f"{PATH}/SearchProvider")

    def refused(self, method, *machine):
        try:
            self.manage(method, *machine)
        except GLib.Error as error:
            return Gio.dbus_error_get_remote_error(error), error.message
        return None, None

    def has_owner(self):
        arguments = GLib.Variant("(s)", (APPLICATION,))
        daemon = "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
        return self.bus.call_sync(*daemon, "NameHasOwner", arguments, None, Gio.DBusCallFlags.NONE, 10000, None).unpack()[0]


def prepare(machines):
    folder = os.path.join(os.environ["XDG_DATA_HOME"], "dbus-1", "services")
    os.makedirs(folder)
    with open(os.path.join(folder, f"{APPLICATION}.service"), "w") as file:
        file.write(SERVICE.format(name=APPLICATION, binary=os.environ["GUESTHOUSE_BINARY"]))
    for name in ("Debian server", "other"):
        subprocess.run(
            [os.environ["GUESTHOUSE_BINARY"], "create", name, "--iso", sys.argv[1], "--disk", "none"], check=True, stdout=subprocess.DEVNULL
        )
    bus = Bus()
    bus.bus.call_sync(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig", None, None, Gio.DBusCallFlags.NONE, 10000, None
    )
    step("the bus starts it, without a window")
    assert not bus.has_owner()
    listed = bus.manage("ListMachines")[0]
    assert [(name, state) for _, name, state in listed] == [("Debian server", "off"), ("other", "off")], listed
    assert bus.has_owner()
    shown = subprocess.run(["xdotool", "search", "--onlyvisible", "--class", "guesthouse"], capture_output=True, text=True)
    assert not shown.stdout.strip(), f"there is a window: {shown.stdout}"

    step("nobody needs it, so it goes")
    end = time.monotonic() + 90
    while bus.has_owner():
        assert time.monotonic() < end, "it stays"
        time.sleep(0.5)


def scenario(window):
    bus = Bus()
    window.find(Role.LIST_ITEM, "Debian server, Off")

    step("a machine is started, paused, resumed and forced off")
    identifiers = {name: identifier for identifier, name, _ in bus.manage("ListMachines")[0]}
    server = identifiers["Debian server"]
    bus.manage("Start", server)
    window.expect("it runs", bus.manage("GetState", "debian SERVER") == ("running", ""))
    window.find(Role.LIST_ITEM, re.compile("^Debian server, Running"))
    properties = bus.call("org.freedesktop.DBus.Properties", "GetAll", GLib.Variant("(s)", (MANAGER,)))[0]
    window.expect(f"the states are properties: {properties}", properties == {"States": {server: "running", identifiers["other"]: "off"}})
    for method, state in (("Pause", "paused"), ("Resume", "running"), ("ShutDown", "running"), ("ForceOff", "off")):
        bus.manage(method, server)
        window.expect(f"{method} makes it {state}", bus.manage("GetState", server)[0] == state)

    def told():
        # They come beside the answers to the calls.
        window.listen()
        return [change[2] for change in bus.heard if change[:2] == (server, "Debian server")]

    window.wait("all its states to be told", lambda: len(told()) >= 4)
    window.expect(f"they were told in their order: {bus.heard}", told() == ["running", "paused", "running", "off"])

    step("what cannot be done is refused with its reason")
    name, text = bus.refused("Start", "no such machine")
    window.expect(f"there is no such machine: {name} {text}", name == f"{APPLICATION}.Error.NotFound")
    name, text = bus.refused("Pause", "other")
    window.expect(f"it does not run: {name} {text}", name == f"{APPLICATION}.Error.Failed" and "not running" in text)

    step("the search finds machines")
    found = bus.search("GetInitialResultSet", "(as)", ["SERV", "deb"])[0]
    window.expect(f"by name: {found}", found == [server])
    window.expect("not what is not there", bus.search("GetInitialResultSet", "(as)", ["windows"])[0] == [])
    window.expect("among what was found", bus.search("GetSubsearchResultSet", "(asas)", [server], ["oth"])[0] == [])
    metas = bus.search("GetResultMetas", "(as)", [server])[0]
    window.expect(f"it is described: {metas}", [(meta["id"], meta["name"], meta["description"]) for meta in metas] == [(server, "Debian server", "Off")])

    step("what is found is shown and started")
    bus.search("ActivateResult", "(sasu)", identifiers["other"], ["oth"], 0)
    window.find(Role.LIST_ITEM, re.compile("^other, Running"))
    window.wait_for_state("other", "running")
    bus.search("LaunchSearch", "(asu)", ["deb"], 0)
    window.wait("the search in the window", lambda: not window.find_all(Role.LIST_ITEM, re.compile("^other,")))
    window.find(Role.LIST_ITEM, re.compile("^Debian server, Off"))
    window.picture("search")

    step("the desktop opens a file and a desktop action")
    desktop = "org.freedesktop.Application"
    bus.call(desktop, "ActivateAction", GLib.Variant("(sava{sv})", ("new-machine", [], {})))
    window.wait_for_text("Installer")
    bus.call(desktop, "Open", GLib.Variant("(asa{sv})", ([Gio.File.new_for_path(sys.argv[1]).get_uri()], {})))
    window.wait_for_text("Supported · Optical disc")
    window.keys("Escape")

    step("leave")
    bus.manage("ForceOff", "other")
    window.wait_for_state("other", "off")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
