"""The installed Flatpak in its sandbox: flatpak.py ISO TEXT, a medium and what it writes on the screen. `make flatpak` runs it.

The program is the one that GUESTHOUSE_BINARY starts in the sandbox; GUESTHOUSE_FLATPAK is the application's name. Files come in only as they do on a
desktop: by "Open With" and by the file chooser's portal.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib

from window import Role, run, step

ISO, TEXT = os.path.abspath(sys.argv[1]), sys.argv[2]
APPLICATION = os.environ["GUESTHOUSE_FLATPAK"]
HOME = os.environ["HOME"]


def sandbox(*command):
    """Runs a command of the runtime in the application's sandbox."""
    return subprocess.run(
        ["flatpak", "--user", "run", f"--command={command[0]}", APPLICATION, *command[1:]], capture_output=True, text=True
    )


def definition(name):
    path = os.path.join(HOME, ".var/app", APPLICATION, "data/guesthouse/machines", name, "machine.toml")
    with open(path, "rb") as file:
        return tomllib.load(file)


def confined(window):
    private = os.path.join(HOME, "private.iso")
    shutil.copy(ISO, private)
    for command in (("cat", private), ("ls", private)):
        result = sandbox(*command)
        window.expect(f"{command} fails in the sandbox: {result.stdout[:200]!r} {result.stderr!r}", result.returncode != 0)
    sandbox("sh", "-c", f": >{HOME}/written")
    window.expect("nothing can be written into the home folder", not os.path.exists(f"{HOME}/written"))
    result = subprocess.run([window.binary, "create", "private", "--iso", private], capture_output=True, text=True)
    window.expect(f"a file of the home folder cannot be used: {result.stderr}", result.returncode != 0 and "private.iso" in result.stderr)
    step(result.stderr.strip())
    window.expect("no machine was made", "private" not in window.guesthouse("list"))
    for path in ("/usr/share/seabios", "/usr/share/OVMF", "/usr/share/osinfo", "/usr/bin/gcc"):
        window.expect(f"the runtime has no {path}", sandbox("test", "-e", path).returncode != 0)


def scenario(window):
    step("no file of the home folder is to be had")
    window.wait_for_text("No Machines Yet")
    window.picture("empty")
    confined(window)

    step("virtualization")
    step(window.guesthouse("check-host").strip())

    step("a file that is opened with Guesthouse")
    medium = os.path.join(HOME, "opened.iso")
    shutil.copy(ISO, medium)
    subprocess.run([window.binary, "open", "@@", medium, "@@"], check=True, timeout=60)
    window.wait_for_text("Supported · Optical disc")
    window.picture("wizard")
    window.press("Create")
    window.wait_for_state("opened", "running")
    path = str(definition("opened"))
    window.expect(f"the medium is the document portal's: {path}", re.search(r"/run/user/\d+/doc/\w+/opened\.iso", path))

    step("the guest boots from it")
    window.wait_for_guest("opened", TEXT, 180)
    window.wait_for_picture("opened")
    window.picture("guest")

    step("off, and the machine keeps its medium")
    window.release()
    window.choose("Reset or Force Off", "f")
    window.wait_for_text("Force “opened” off\\?")
    window.press("Force Off")
    window.wait_for_state("opened", "off")

    step("the file chooser is the desktop's")
    chosen = os.path.join(HOME, "chosen.iso")
    shutil.copy(ISO, chosen)
    window.keys("ctrl+n")
    window.press("Choose…")
    window.wait("the portal's dialog", lambda: visible("Choose an Installer or Disk"))
    # The first key opens the entry for a path, and what comes while it opens is lost.
    window.keys("slash")
    time.sleep(3)
    window.keys("ctrl+a")
    window.type(chosen, 60)
    window.picture("chooser")
    window.keys("Return")
    window.wait_for_text("Supported · Optical disc")
    # Where it is on the host, and not where the portal has it.
    window.find(Role.LABEL, "~")
    window.picture("chosen")
    window.press("Create")
    window.wait_for_state("chosen", "running")
    window.expect("the medium is the document portal's", re.search(r"/run/user/\d+/doc/\w+/chosen\.iso", str(definition("chosen"))))

    step("leave")
    # Once the guest's screen is there, it has the keyboard.
    window.wait_for_guest("chosen", "GRUB", 180)
    window.release()
    window.keys("ctrl+q")
    window.wait_for_text("Still Running")
    window.press("Force Off")
    window.wait_for_end()

    commands(window)

    step("without the virtualization device")
    result = subprocess.run(
        ["flatpak", "--user", "run", "--nodevice=kvm", APPLICATION, "check-host"], capture_output=True, text=True
    )
    step((result.stdout + result.stderr).strip())
    remedy = f"flatpak override --user --device=kvm {APPLICATION}"
    window.expect("the remedy is named", result.returncode != 0 and remedy in result.stdout + result.stderr)


def commands(window):
    step("a disk image that is handed over cannot be locked against other programs there: it is refused and left alone")

    def guesthouse(*arguments):
        return subprocess.run([window.binary, *arguments], capture_output=True, text=True, timeout=120)

    disk = os.path.join(HOME, "handed.img")
    with open(disk, "wb") as file:
        file.truncate(64 << 20)
    result = guesthouse("disk", "resize", "@@", disk, "@@", "128M")
    step(result.stderr.strip())
    refused = result.returncode != 0 and "could not lock" in result.stderr and "copy the image" in result.stderr and "Input/output" not in result.stderr
    window.expect(f"the image is refused: {result.stderr}", refused and os.path.getsize(disk) == 64 << 20)

    step("each command has a sandbox of its own, and finds what others run")
    result = guesthouse("create", "background", "--disk", "64M")
    window.expect(f"a machine is made: {result.stderr}", result.returncode == 0)
    running = subprocess.Popen([window.binary, "run", "background"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while window.state("background") != "running" and time.monotonic() < end:
        time.sleep(0.5)
    window.expect("another sandbox sees it run", window.state("background") == "running")
    result = guesthouse("poweroff", "background")
    window.expect(f"its plug is pulled: {result.stderr}", result.returncode == 0)
    running.wait(60)


def visible(title):
    result = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", title], capture_output=True, text=True)
    return result.stdout.strip()


run(scenario)
