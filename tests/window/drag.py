"""Another program's window, from which a file is dragged: drag.py FILE. And what a test drags with it."""

import os
import subprocess
import sys
import time

import gi

gi.require_version("Gtk", "4.0")
from gi.repository import Gdk, Gio, GLib  # noqa: E402

TITLE = "Files"


def drop(window, path, node):
    """Drags a file from another program's window to the middle of `node`."""
    left, top, width, height = window.place(node)
    x, y = left + width // 2, top + height // 2
    title = window.in_front()
    other = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), os.path.abspath(path)])
    try:
        window.wait("the other window", lambda: window.in_front() == TITLE)
        subprocess.run(["xdotool", "getactivewindow", "windowmove", "0", "0"], check=True)
        window.wait("the other window in the corner", lambda: window.geometry()["X"] < 40)
        geometry = window.geometry()
        from_x, from_y = geometry["X"] + geometry["WIDTH"] // 2, geometry["Y"] + geometry["HEIGHT"] - 30
        subprocess.run(["xdotool", "mousemove", str(from_x), str(from_y), "mousedown", "1"], check=True)
        for number in range(1, 21):
            place = from_x + (x - from_x) * number // 20, from_y + (y - from_y) * number // 20
            subprocess.run(["xdotool", "mousemove", *map(str, place)], check=True)
            time.sleep(0.05)
        window.picture("dragged")
        subprocess.run(["xdotool", "mouseup", "1"], check=True)
        time.sleep(0.5)
    finally:
        other.terminate()
        other.wait()
    window.wait(f"{title!r} in front again", lambda: window.in_front() == title)


def main():
    from gi.repository import Gtk

    window = Gtk.Window(title=TITLE, default_width=120, default_height=60)
    source = Gtk.DragSource(actions=Gdk.DragAction.COPY)
    files = Gdk.FileList.new_from_list([Gio.File.new_for_path(sys.argv[1])])
    source.set_content(Gdk.ContentProvider.new_for_value(files))
    label = Gtk.Label(label="File", vexpand=True, hexpand=True)
    label.add_controller(source)
    window.set_child(label)
    loop = GLib.MainLoop()
    window.connect("close-request", lambda _: loop.quit())
    window.present()
    loop.run()


if __name__ == "__main__":
    main()
