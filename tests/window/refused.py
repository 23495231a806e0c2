"""A desktop whose portal for files answers with an error: the window says so and goes on."""

from gi.repository import Gio, GLib
from window import run, step

PORTAL = """<node>
<interface name="org.freedesktop.portal.FileChooser">
<method name="OpenFile">
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/><arg type="o" direction="out"/>
</method>
<property name="version" type="u" access="read"/>
</interface>
</node>"""
PATH = "/org/freedesktop/portal/desktop"


class RefusingPortal:
    """A portal that is there, and fails."""

    def __init__(self):
        self.asked = 0
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        (interface,) = Gio.DBusNodeInfo.new_for_xml(PORTAL).interfaces
        self.bus.register_object(PATH, interface, self.call, lambda *_: GLib.Variant("u", 3), None)
        daemon = "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
        name = GLib.Variant("(su)", ("org.freedesktop.portal.Desktop", 0))
        self.bus.call_sync(*daemon, "RequestName", name, None, Gio.DBusCallFlags.NONE, 10000, None)

    def call(self, _bus, sender, _path, _interface, _method, parameters, invocation):
        self.asked += 1
        token = parameters.unpack()[-1]["handle_token"]
        request = f"{PATH}/request/{sender[1:].replace('.', '_')}/{token}"
        invocation.return_value(GLib.Variant("(o)", (request,)))
        # 2: ended in another way than by the person's choice.
        answer = GLib.Variant("(ua{sv})", (2, {}))
        self.bus.emit_signal(sender, request, "org.freedesktop.portal.Request", "Response", answer)


portal = None


def prepare(_machines):
    global portal
    portal = RefusingPortal()


def scenario(window):
    for turn in (1, 2):
        step(f"a file is to be imported, time {turn}")
        window.choose("Main Menu", "i")

        def asked():
            window.listen()
            return portal.asked >= turn

        window.wait("the portal to be asked", asked)
        window.wait_for_text("No File Could Be Chosen")
        window.picture(f"refused-{turn}")
        window.press("Close")
    window.expect("it asked once each time", portal.asked == 2)


if __name__ == "__main__":
    run(scenario, prepare=prepare)
