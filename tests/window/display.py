"""A display for one test: an X server without a screen, a window manager, and a session bus with the accessibility bus on it, all of
the test's own; home, settings and machines are in a folder that goes away with it.
"""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

# A test that hangs ends after this many seconds.
LONGEST = 900
# Of the RFB protocol.
EXTENDED_DESKTOP_SIZE = -308


def server(folder, size, monitors):
    """Starts an X server on a number that is free; gives the process and the display's name."""
    reader, writer = os.pipe()
    if monitors == 1:
        command = ["Xvfb", "-screen", "0", f"{size}x24", "-fbdir", folder]
    else:
        # Xvfb has one output only. This server is one of VNC too, and a viewer may say which monitors there are.
        across, down = map(int, size.split("x"))
        socket_path = os.path.join(folder, "monitors")
        command = ["Xvnc", "-geometry", f"{across * monitors}x{down}", "-depth", "24", "-SecurityTypes", "None", "-rfbport", "-1", "-rfbunixpath", socket_path]
    with open(os.path.join(folder, "server.log"), "wb") as log:
        command += ["-displayfd", str(writer), "-nolisten", "tcp", "-noreset"]
        process = subprocess.Popen(command, pass_fds=[writer], stdout=log, stderr=log)
    os.close(writer)
    with os.fdopen(reader) as numbers:
        number = numbers.readline().strip()
    if not number:
        sys.exit("the X server did not start: " + open(os.path.join(folder, "server.log")).read())
    return process, f":{number}"


def connect_monitors(path, size, monitors):
    """Has the server that listens at `path` (RFB 3.8) have as many monitors of this size, side by side."""
    across, down = map(int, size.split("x"))
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as answers:
        connection.settimeout(30)
        connection.connect(path)
        answers.read(12)
        connection.sendall(b"RFB 003.008\n")
        answers.read(answers.read(1)[0])
        connection.sendall(bytes([1]))  # No password.
        if answers.read(4) != bytes(4):
            raise RuntimeError("the X server lets no viewer in")
        connection.sendall(bytes([1]))  # Other viewers stay.
        width, height, length = struct.unpack(">HH16xI", answers.read(24))
        answers.read(length)
        # Such viewers only are told of monitors, and may change them.
        connection.sendall(struct.pack(">BxHi", 2, 1, EXTENDED_DESKTOP_SIZE))
        connection.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        read_monitors(answers)
        layout = b"".join(struct.pack(">IHHHHI", number + 1, number * across, 0, across, down, 0) for number in range(monitors))
        connection.sendall(struct.pack(">BxHHBx", 251, across * monitors, down, monitors) + layout)
        connection.sendall(struct.pack(">BBHHHH", 3, 1, 0, 0, width, height))
        refusal, count = read_monitors(answers)
        if refusal or count != monitors:
            raise RuntimeError(f"the X server has {count} monitors and says {refusal}")


def read_monitors(answers):
    """Reads updates up to one that tells of monitors: why they are not what was asked for, and how many there are."""
    while True:
        kind, rectangles = struct.unpack(">BxH", answers.read(4))
        if kind != 0:
            raise RuntimeError(f"the X server sends a message of type {kind}")
        told = None
        for _ in range(rectangles):
            _, refusal, width, height, encoding = struct.unpack(">HHHHi", answers.read(12))
            if encoding == EXTENDED_DESKTOP_SIZE:
                count = answers.read(4)[0]
                answers.read(16 * count)
                told = refusal, count
            else:
                answers.read(width * height * 4)
        if told:
            return told


def pixels():
    """What is on the display of this test now, in the X Window Dump format."""
    if "GUESTHOUSE_WINDOW_PIXELS" not in os.environ:
        return subprocess.run(["import", "-silent", "-window", "root", "xwd:-"], check=True, capture_output=True).stdout
    with open(os.environ["GUESTHOUSE_WINDOW_PIXELS"], "rb") as file:
        return file.read()


def keep_still():
    """Has the toolkit draw the same alike each time: nothing moves or blinks, and the font is named. Called before the program starts."""
    configuration = os.path.join(os.environ["XDG_CONFIG_HOME"], "gtk-4.0")
    os.makedirs(configuration)
    with open(os.path.join(configuration, "settings.ini"), "w") as file:
        file.write("[Settings]\ngtk-enable-animations=false\ngtk-cursor-blink=false\ngtk-font-name=Cantarell 11\n")


def keep(pixels, path, size=None):
    """Writes what was on the display, or as much of its upper left, as PNG."""
    crop = ["-crop", f"{size[0]}x{size[1]}+0+0", "+repage"] if size else []
    subprocess.run(["convert", "xwd:-", *crop, path], input=pixels, check=True)


def run(command, size="1280x800", monitors=1, **variables):
    """Runs `command` on a display of its own with as many monitors of this size; gives its exit code."""
    folder = tempfile.mkdtemp(prefix="guesthouse-window.")
    processes = []
    group = None
    try:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "WAYLAND_", "XDG_", "DESKTOP_"))}
        for name, place in {
            "HOME": "home",
            "XDG_DATA_HOME": "data",
            "XDG_CONFIG_HOME": "config",
            "XDG_CACHE_HOME": "cache",
            "XDG_STATE_HOME": "state",
            "XDG_RUNTIME_DIR": "runtime",
        }.items():
            environment[name] = os.path.join(folder, place)
            os.mkdir(environment[name], 0o700)
        if "GUESTHOUSE_FLATPAK" in environment:
            # Within a sandbox the document portal's files are always there; build-aux/flatpak makes it ours.
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{os.getuid()}"
        process, display = server(folder, size, monitors)
        processes.append(process)
        if monitors == 1:
            environment["GUESTHOUSE_WINDOW_PIXELS"] = os.path.join(folder, "Xvfb_screen0")
        else:
            environment["GUESTHOUSE_WINDOW_MONITORS"] = os.path.join(folder, "monitors")
            connect_monitors(environment["GUESTHOUSE_WINDOW_MONITORS"], size, monitors)
        environment.update(
            DISPLAY=display,
            GDK_BACKEND="x11",
            GSK_RENDERER="cairo",
            GSETTINGS_BACKEND="memory",
            ADW_DISABLE_PORTAL="1",
            NO_AT_BRIDGE="1",
            LANG="C.UTF-8",
            **variables,
        )
        with open(os.path.join(folder, "manager.log"), "wb") as log:
            processes.append(subprocess.Popen(["openbox", "--sm-disable"], env=environment, stdout=log, stderr=log))
        with open(os.path.join(folder, "bus.log"), "wb") as log:
            group = subprocess.Popen(["dbus-run-session", "--", *command], env=environment, cwd=folder, stderr=log, start_new_session=True)
        try:
            return group.wait(LONGEST)
        except subprocess.TimeoutExpired:
            print(f"the test did not end within {LONGEST} s")
            return 1
    finally:
        if group is not None:
            try:
                os.killpg(group.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            group.wait()
        for process in reversed(processes):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
