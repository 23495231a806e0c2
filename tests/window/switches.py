"""Virtual switches in the window: made, changed, used by a machine, kept while they are used, deleted."""

import json
import os
import re

from window import Role, run, step

MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Box"
generation = 1

[memory]
mebibytes = 64

[[network]]
switch = "nat"
"""


def prepare(machines):
    folder = os.path.join(machines, "box")
    os.mkdir(folder)
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE)


def scenario(window):
    def switches():
        return {switch["name"]: switch for switch in json.loads(window.guesthouse("switch", "list", "--json"))}

    step("the manager")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.choose("Main Menu", "v")
    window.wait_for_text("Used by Box")
    window.expect_names("the list of switches")
    window.picture("list")

    step("a new one")
    window.press("New Virtual Switch")
    window.expect_names("the page of a new switch")
    window.expect("without a name it cannot be made", not window.can_press("Create"))
    window.enter("Name", "Lab")
    window.enter("Network", "8.8.8.0")
    window.wait_for_text("is not the beginning of a private network")
    window.expect("it cannot be made", not window.can_press("Create"))
    window.picture("wrong")
    window.enter("Network", "10.9.0.0")
    window.press("Create")
    window.wait("the switch", lambda: switches().get("Lab", {}).get("network") == "10.9.0.0")
    window.wait_for_text("No machine uses it")

    step("the NAT's network")
    window.focus(window.find(Role.LIST_ITEM, "NAT"))
    window.keys("Return")
    window.wait_for_text("This switch is always there")
    window.enter(re.compile("^Name Servers"), "192.0.2.1")
    window.press("Services of This Computer’s Loopback Address", Role.CHECK_BOX)
    window.picture("nat")
    window.press("Save")
    window.wait("the change", lambda: switches()["nat"].get("name_servers") == ["192.0.2.1"])
    window.expect("the other change", switches()["nat"].get("host_loopback") is True)
    # Escape closes the dialog only once the switch's page has gone; before that it closes the page.
    window.wait("the list's return", lambda: "Loopback Address" not in window.text())

    step("a switch in use is kept")
    window.guesthouse("set", "Box", "network.1.switch=lab")
    window.keys("Escape")
    window.wait("the dialog's end", lambda: "Machines at the same one" not in window.text())
    window.choose("Main Menu", "v")
    window.focus(window.find(Role.LIST_ITEM, "Lab"))
    window.keys("Return")
    window.wait_for_text("Used by Box: attach their network cards elsewhere")
    window.expect("it cannot be deleted", not window.can_press("Delete Virtual Switch"))
    window.picture("used")
    window.keys("Escape")
    window.wait_for_text("Machines at the same one reach each other")
    window.keys("Escape")

    step("delete")
    window.guesthouse("set", "Box", "network.1.switch=nat")
    window.wait("the dialog's end", lambda: "Machines at the same one" not in window.text())
    window.choose("Main Menu", "v")
    window.focus(window.find(Role.LIST_ITEM, "Lab"))
    window.keys("Return")
    window.press("Delete Virtual Switch")
    window.wait("its end", lambda: "Lab" not in switches())

    step("leave")
    window.keys("Escape")
    window.wait("the dialog's end", lambda: "Machines at the same one" not in window.text())
    window.keys("ctrl+q")
    window.wait_for_end()


run(scenario, prepare=prepare)
