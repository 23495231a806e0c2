"""What a machine is made of, in the window: each topic of the Hardware view, changed by keyboard alone; the file says what was changed.

The window is looked at in a small size too, where the list of topics and the topics are pages that follow one another."""

import json
import os
import re

from window import Role, run, step

MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Box"
generation = 1

# Kept by whatever changes
[memory]
mebibytes = 64

[[drive]]
kind = "optical"

[[network]]
switch = "nat"
"""


def prepare(machines):
    folder = os.path.join(machines, "box")
    os.mkdir(folder)
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE)


def scenario(window):
    file = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "box", "machine.toml")

    def definition():
        return json.loads(window.guesthouse("show", "Box", "--json"))["definition"]

    def becomes(what, condition):
        def is_met():
            try:
                return condition(definition())
            except LookupError:
                # What it looks at is not written yet.
                return False

        window.wait(what, is_met)

    step("general")
    window.find(Role.LIST_ITEM, re.compile("^Box, Off"))
    window.keys("ctrl+3")
    window.topic("General")
    window.expect_names("General")
    window.enter("Name", "a/b")
    window.keys("Return")
    window.wait_for_text("(?i)name cannot hold '/'")
    window.picture("general-refused")
    window.enter("Name", "Box")
    window.keys("Return")
    window.focus(window.find(Role.TEXT, "Notes"))
    window.type("Made for tests")
    window.keys("Tab")
    becomes("the notes", lambda one: one.get("notes") == "Made for tests")
    window.picture("general")

    step("processors")
    window.topic("Processors")
    window.expect_names("Processors")
    window.focus(window.find(Role.SPIN_BUTTON, re.compile("^Processors")))
    window.keys("Up")
    becomes("two processors", lambda one: one["processor"]["count"] == 2)
    window.picture("processors")

    step("memory")
    window.topic("Memory")
    window.expect_names("Memory")
    window.press("Memory Balloon", Role.CHECK_BOX)
    becomes("the balloon", lambda one: one.get("devices", {}).get("balloon"))
    window.focus(window.find(Role.SPIN_BUTTON, re.compile("^Memory in MiB")))
    window.keys("ctrl+a", "BackSpace")
    window.type("99999999")
    window.keys("Return")
    window.wait("what this computer has at most", lambda: definition()["memory"]["mebibytes"] > 64)
    window.keys("ctrl+a", "BackSpace")
    window.type("128")
    window.keys("Return")
    becomes("128 MiB", lambda one: one["memory"]["mebibytes"] == 128)
    window.picture("memory")

    step("firmware")
    window.topic("Firmware")
    window.expect_names("Firmware")
    window.press("Start from Network Card", Role.CHECK_BOX)
    becomes("the card is tried", lambda one: one["network"][0].get("boot") == 1)
    window.press("Start from Optical Drive 1", Role.CHECK_BOX)
    becomes("the drive is tried after it", lambda one: one["drive"][0].get("boot") == 2)
    window.press("Later: Network Card")
    becomes("it is tried before", lambda one: (one["drive"][0]["boot"], one["network"][0]["boot"]) == (1, 2))
    window.wait("the keyboard in the row that moved", lambda: any("Network Card" in node.name for node in holders(window)))
    window.picture("firmware")
    window.focus(window.find(Role.COMBO_BOX, "Generation"))
    window.keys("space")
    window.keys("Down", "Return")
    window.wait_for_text("Make This a Generation 2 Machine\\?")
    window.wait_for_text("64-bit operating system")
    window.picture("generation")
    window.press("Change Generation")
    becomes("generation 2", lambda one: one["generation"] == 2 and one["drive"][0]["bus"] == "sata")
    window.press("Secure Boot", Role.CHECK_BOX)
    becomes("Secure Boot", lambda one: one["firmware"].get("secure_boot"))

    step("network")
    window.topic("Network")
    window.expect_names("Network")
    window.enter("MAC Address", "nonsense")
    window.keys("Return")
    window.wait_for_text("is not the address of a network card")
    window.enter("MAC Address", "02:12:34:56:78:9a")
    window.keys("Return")
    becomes("the address", lambda one: one["network"][0].get("mac") == "02:12:34:56:78:9a")
    window.press("SSH")
    becomes("a forward", lambda one: one["network"][0]["forward"][0]["guest_port"] == 22)
    window.wait_for_text("to the guest’s port 22")
    window.press("Capture Traffic", Role.CHECK_BOX)
    becomes("a capture", lambda one: one["network"][0].get("capture") == "network-1.pcap")
    window.picture("network")
    window.press("Add Network Card")
    becomes("two cards", lambda one: len(one["network"]) == 2)
    window.wait_for_text("Network Card 2")
    window.expect_names("two cards")
    window.press("Remove Network Card")
    becomes("one card", lambda one: len(one["network"]) == 1)
    window.press("Undo")
    becomes("two cards again", lambda one: len(one["network"]) == 2)

    step("display, input, clock and others")
    window.topic("Display and Input")
    window.expect_names("Display and Input")
    window.press("Graphics by Virtio", Role.CHECK_BOX)
    becomes("the graphics", lambda one: one["devices"].get("graphics"))
    window.press("Keyboard and Tablet by Virtio", Role.CHECK_BOX)
    becomes("the tablet", lambda one: one["devices"].get("input"))
    window.topic("Clock and Others")
    window.expect_names("Clock and Others")
    window.press("Random Numbers by Virtio", Role.CHECK_BOX)
    becomes("random numbers", lambda one: one["devices"].get("entropy"))
    window.picture("others")

    with open(file) as text:
        window.expect("what a person wrote is kept", "# Kept by whatever changes" in text.read())

    step("leave")
    window.keys("ctrl+q")
    window.wait_for_end()


def holders(window):
    held = window.holder()
    return [node for node in window.tree().walk() if (node.bus, node.path) == held]


run(scenario, prepare=prepare)
