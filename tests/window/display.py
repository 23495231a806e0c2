"""A display for one test: an X server without a screen, a window manager, and a session bus with the accessibility bus on it, all of
the test's own; home, settings and machines are in a folder that goes away with it.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

# A test that hangs ends after this many seconds.
LONGEST = 900


def server(folder, size):
    """Starts an X server on a number that is free; gives the process and the display's name."""
    reader, writer = os.pipe()
    with open(os.path.join(folder, "server.log"), "wb") as log:
        command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size}x24", "-fbdir", folder, "-nolisten", "tcp", "-noreset"]
        process = subprocess.Popen(command, pass_fds=[writer], stdout=log, stderr=log)
    os.close(writer)
    with os.fdopen(reader) as numbers:
        number = numbers.readline().strip()
    if not number:
        sys.exit("the X server did not start: " + open(os.path.join(folder, "server.log")).read())
    return process, f":{number}"


def pixels():
    """What is on the display of this test now, in the X Window Dump format."""
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


def run(command, size="1280x800", **variables):
    """Runs `command` on a display of its own; gives its exit code."""
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
        process, display = server(folder, size)
        processes.append(process)
        environment.update(
            DISPLAY=display,
            GDK_BACKEND="x11",
            GSK_RENDERER="cairo",
            GSETTINGS_BACKEND="memory",
            ADW_DISABLE_PORTAL="1",
            NO_AT_BRIDGE="1",
            LANG="C.UTF-8",
            GUESTHOUSE_WINDOW_PIXELS=os.path.join(folder, "Xvfb_screen0"),
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
