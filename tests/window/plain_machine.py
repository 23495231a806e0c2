"""The machine that scripts begin with: named Box, off, on disk.qcow2 beside its definition."""

import os

DEFINITION = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Box"
generation = 1

[memory]
mebibytes = 64

[[drive]]
kind = "disk"
file = "disk.qcow2"
format = "qcow2"
"""


def make(machines, more=""):
    """Puts it among `machines`, with `more` at the end of its definition; gives its folder."""
    folder = os.path.join(machines, "box")
    os.mkdir(folder)
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(DEFINITION + more)
    return folder
