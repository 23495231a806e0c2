"""What a person prefers holds at once and the next time: preferences.py ISO."""

import configparser
import os
import re
import socket
import subprocess
import sys

from gi.repository import Gio, GLib

from window import Role, run, step

APPLICATION = "io.github.guesthouse_vm.Guesthouse"


def brightness(picture):
    command = ["convert", picture, "-colorspace", "gray", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def owned(name):
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)
    driver = "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
    return bus.call_sync(*driver, "NameHasOwner", GLib.Variant("(s)", (name,)), None, Gio.DBusCallFlags.NONE, -1, None).unpack()[0]


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

    step("with the session")
    entry = os.path.join(os.environ["XDG_CONFIG_HOME"], "autostart", f"{APPLICATION}.desktop")
    switch = "Start with the Session"
    window.press(switch, Role.CHECK_BOX)
    window.wait("an entry among what the session starts", lambda: os.path.exists(entry))
    desktop = configparser.ConfigParser(interpolation=None)
    desktop.read(entry)
    command = desktop["Desktop Entry"]["Exec"]
    window.expect(f"it starts the program in the background: {command}", command == f'"{os.path.realpath(window.binary)}" open --background')
    window.find(Role.CHECK_BOX, switch)
    window.press(switch, Role.CHECK_BOX)
    window.wait("no such entry", lambda: not os.path.exists(entry))

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

    step("new machines")
    window.focus(window.find(Role.PAGE_TAB, "General"))
    window.keys("Right", "space")
    window.wait_for_text("Disk Size")
    window.expect_names("the preferences about machines")
    window.picture("machines")
    choose(window, "Processors", "1 processor", 1)
    choose(window, "Memory", "1 GiB", 2)
    choose(window, "Disk Size", "10 GiB", 1)

    step("a folder of one's own")
    chosen = os.path.abspath("my machines")
    os.mkdir(chosen)
    window.press("Choose…")
    window.choose_file("Choose a Folder for Machines", chosen)
    window.wait_for_text("Used from the next start")
    window.find(Role.BUTTON, "Use the Usual Folder")
    window.expect("no machine is where others are made", "There are no machines" in window.guesthouse("list") or window.guesthouse("list").strip() == "")
    window.guesthouse("create", "elsewhere", "--disk", "none")
    window.expect("a machine is made there", os.path.exists(os.path.join(chosen, "elsewhere", "machine.toml")))
    os.rename(chosen, chosen + " away")
    refused = subprocess.run([window.binary, "list"], env=window.environment, capture_output=True, text=True)
    window.expect(f"a disk that is away is told: {refused.stderr}", refused.returncode == 1 and "connect the disk" in refused.stderr)
    window.press("Use the Usual Folder")
    window.wait("the usual folder", lambda: not window.find_all(Role.BUTTON, "Use the Usual Folder"))

    step("viewers of other programs")
    window.focus(window.find(Role.COMBO_BOX, "Viewers of Other Programs"))
    window.expect("nobody is warned of what is not", "Every user of this computer" not in window.text())
    choose(window, "Viewers of Other Programs", "port of this computer", 2)
    window.wait_for_text("Every user of this computer")
    window.picture("viewers")
    window.keys("Escape")
    window.wait("the dialog's end", lambda: "Disk Size" not in window.text())

    step("the wizard suggests what is preferred")
    window.keys("ctrl+n")
    window.wait_for_text("1 processor · 1 GiB memory · 10 GiB disk")
    window.press("Cancel")
    window.wait("the wizard's end", lambda: "Installer or Disk Image" not in window.text())

    step("machines that run without a window")
    window.guesthouse("create", "kept", "--iso", sys.argv[1], "--disk", "none")
    window.find(Role.LIST_ITEM, "kept, Off")
    window.press("Start")
    window.wait_for_state("kept", "running")
    window.wait_for_text("Press Ctrl.Shift")
    window.keys("ctrl+shift")

    step("another program's viewer")
    window.keys("ctrl+2")
    window.wait_for_text("127\\.0\\.0\\.1:59\\d\\d")
    window.picture("overview")
    address = re.search("127\\.0\\.0\\.1:(59\\d\\d)", "\n".join(f"{node.name} {node.description}" for node in window.tree().walk()))
    with socket.create_connection(("127.0.0.1", int(address.group(1))), timeout=30) as viewer:
        window.expect("it is greeted", viewer.recv(12).startswith(b"RFB 003."))
    window.keys("ctrl+1")
    window.keys("ctrl+w")
    window.wait("no window", lambda: not window.tree().children)
    window.expect("the machine runs on", window.state("kept") == "running")

    step("the window again")
    second = subprocess.run([window.binary], env=window.environment, timeout=30)
    window.expect("the second program only showed the first one's window", second.returncode == 0)
    window.wait_for_text("kept")
    window.keys("ctrl+w")
    window.wait("no window", lambda: not window.tree().children)

    step("the program ends with its last machine")
    window.guesthouse("poweroff", "kept")
    window.wait_for_end()

    step("in the background from the session's start on")
    window.program = subprocess.Popen([window.binary, "open", "--background"], env=window.environment, stdout=window.output, stderr=window.output)
    window.wait("the program on the session bus", lambda: owned(APPLICATION))
    again = subprocess.run([window.binary, "open", "--background"], env=window.environment, timeout=30)
    window.expect("there is one already", again.returncode == 0)
    for _ in range(2):
        subprocess.run([window.binary], env=window.environment, timeout=30, check=True)
        window.root = window.wait("the program's window", window._application)
        window.wait_for_text("kept")
        window.keys("ctrl+w")
        window.wait("no window", lambda: not window.tree().children)
    window.expect("it waits without a window", window.program.poll() is None)
    subprocess.run([window.binary], env=window.environment, timeout=30, check=True)
    window.wait_for_text("kept")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, GSETTINGS_BACKEND="keyfile")
