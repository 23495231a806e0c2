"""The serial line in the window: what the guest says is read in the terminal, what is typed there goes to the guest: serial.py ISO."""

import os
import re
import subprocess
import sys

import plain_machine
from window import GUEST, Role, run, step


def prepare(machines):
    drive = f'\n[[drive]]\nkind = "optical"\nfile = "{sys.argv[1]}"\nboot = 1\n'
    folder = plain_machine.make(machines, drive)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", os.path.join(folder, "disk.qcow2"), "64M"], check=True)


def scenario(window):
    step("before the machine starts")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.keys("ctrl+5")
    window.wait_for_text("Nothing Said Yet")
    window.expect_names("the empty view")
    window.picture("empty")

    step("what the guest says")
    window.press("Start")
    window.find(Role.LIST_ITEM, re.compile("^Box, Running"))
    window.release()
    window.keys("ctrl+5")
    window.wait("the terminal", lambda: window.find_all(Role.TERMINAL, "Serial Terminal"), GUEST)
    terminal = window.find(Role.TERMINAL, "Serial Terminal")
    window.wait("the guest's words", lambda: "This guest has no screen:" in window.content(terminal), GUEST)
    window.expect_names("the terminal")

    step("what is typed")
    window.focus(terminal)
    window.type("hello guest", 60)
    window.wait("the guest's echo", lambda: "no screen: hello guest" in window.content(terminal), GUEST)
    window.picture("typed")

    step("the log is searched")
    window.keys("ctrl+6")
    log = window.find(Role.TEXT, "Log")
    window.wait("the firmware's lines", lambda: "Booting from" in window.content(log) and "RAM" in window.content(log))
    window.expect_names("the log")
    window.enter("Search the log", "BOOTING from")
    window.wait("those lines alone", lambda: all("Booting from" in line for line in window.content(log).splitlines()))
    window.picture("found")
    window.enter("Search the log", "no such line")
    window.wait_for_text("No Line Found")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_text("Still Running")
    window.press("Force Off")
    window.wait_for_end()


run(scenario, prepare=prepare)
