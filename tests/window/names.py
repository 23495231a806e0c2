"""Every control of the window, the wizard's pages and a machine's page has a name: names.py ISO."""

import re
import sys

from window import Role, run, step


def scenario(window):
    step("without machines")
    window.wait_for_text("No Machines Yet")
    window.expect_names("the empty window")
    window.picture("empty")

    step("the wizard")
    window.keys("ctrl+n")
    window.enter("File", sys.argv[1])
    window.wait_for_text("Supported · Optical disc")
    for page, written in [("source", "Installer"), ("system", "Processors"), ("storage", "Hard Disk"), ("review", "Start After Creating")]:
        window.wait_for_text(written)
        window.expect_names(f"the wizard's page {page}")
        window.picture(page)
        if page == "storage":
            window.press("SSH")
            window.wait_for_text(r"TCP port \d+ to the guest’s port 22")
            window.expect_names("the forward's row")
            window.picture("forward")
            window.press("Forward a port")
            window.wait_for_text("Port of This Computer")
            window.expect_names("the forward's dialog")
            window.picture("forward-dialog")
            window.press("Cancel")
        if page == "system":
            window.enter("Name", "a/b")
            window.wait_for_text("(?i)name .*/")
            window.expect("Create cannot be pressed", not window.can_press("Create"))
            window.picture("objection")
            window.enter("Name", "named")
        if page != "review":
            window.press("Next")
    window.press("Start After Creating", Role.CHECK_BOX)
    window.press("Create")

    step("the machine's page")
    window.find(Role.LIST_ITEM, re.compile("^named, Off"))
    for number, view in enumerate(("Display", "Overview", "Hardware", "Snapshots", "Serial", "Log"), 1):
        window.keys(f"ctrl+{number}")
        window.wait(f"the view {view}", lambda: window.selected(view))
        window.expect_names(f"the view {view}")
        window.picture(view.lower())

    step("dialogs")
    window.keys("ctrl+question")
    window.wait_for_text("Keyboard Shortcuts")
    window.expect_names("the list of shortcuts")
    window.keys("Escape")
    window.wait("the dialog's end", lambda: "Keyboard Shortcuts" not in window.text())
    window.keys("ctrl+f")
    window.find((Role.TEXT, Role.ENTRY), "Search Machines")
    window.expect_names("the search")
    window.keys("Escape")

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario)
