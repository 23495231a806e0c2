"""What the window says of a machine whose file is broken, that it can be deleted, and that it is read again when it was corrected."""

import os
import re

from window import Role, run, step

GOOD = 'schema = 1\nuuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"\nname = "Mended"\ngeneration = 1\n\n[memory]\nmebibytes = 64\n'
BAD = GOOD.replace("64", "lots of it")
MACHINE = "machine"


def prepare(machines):
    os.mkdir(os.path.join(machines, MACHINE))
    write(machines, BAD)


def write(machines, text):
    with open(os.path.join(machines, MACHINE, "machine.toml"), "w") as file:
        file.write(text)


def scenario(window):
    machines = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines")
    step("a broken file")
    window.find(Role.LIST_ITEM, re.compile("Cannot be read"))
    window.wait_for_text("This Machine’s File Cannot Be Read")
    window.wait_for_text("machine.toml, line [67]")
    window.expect_names("the page of a broken machine")
    window.picture("page")
    with open(os.path.join(machines, MACHINE, "machine.toml")) as file:
        window.expect("the file was left alone", file.read() == BAD)

    step("to the Trash and back")
    window.press("Move to Trash")
    window.wait_for_text("No Machines Yet")
    window.expect("the folder is gone", not os.path.exists(os.path.join(machines, MACHINE)))
    window.press("Undo")
    window.find(Role.LIST_ITEM, re.compile("Cannot be read"))
    with open(os.path.join(machines, MACHINE, "machine.toml")) as file:
        window.expect("the file came back as it was", file.read() == BAD)

    step("corrected")
    write(machines, GOOD)
    window.press("Check Again")
    window.find(Role.LIST_ITEM, re.compile("^Mended, Off"))
    window.wait_for_text("The machine is off")


run(scenario, prepare=prepare)
