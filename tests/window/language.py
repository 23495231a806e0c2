"""The window and the command line in another language."""

import os
import re
import struct
import subprocess

from window import Role, run, step

LOCALES = os.path.abspath("locales")

# Broken images of three formats, and what is wrong with each.
BROKEN = {
    "Alte Platte.qcow2": "die L1-Tabelle liegt hinter dem Ende der Datei",
    "Alte Platte.vmdk": "das Grain-Verzeichnis liegt hinter dem Ende der Datei",
    "Alte Platte.vhdx": "keiner der beiden Köpfe ist unversehrt",
}

# It asks for more memory than any computer has.
MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Kiste"
generation = 1

[memory]
mebibytes = 99999999

[[drive]]
kind = "disk"
file = "disk.qcow2"
format = "qcow2"
"""


def prepare(_machines):
    # The catalogues are only looked at in a locale of a language, which a small system may lack.
    os.mkdir(LOCALES)
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(LOCALES, "de_DE.UTF-8")], check=True)
    for name in BROKEN:
        subprocess.run(["qemu-img", "create", "-q", "-f", name.rpartition(".")[2], name, "64M"], check=True)
    overwrite("Alte Platte.qcow2", 40, struct.pack(">Q", 1 << 40))
    overwrite("Alte Platte.vmdk", 56, struct.pack("<Q", 1 << 30))
    for place in (64 << 10, 128 << 10):
        overwrite("Alte Platte.vhdx", place, bytes(4))
    damage("disk.qcow2")


def overwrite(path, place, data):
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def damage(disk):
    """Makes a disk that was not closed, with a cluster that is not counted, one outside of the file and one that begins within another."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 1 0 192k", disk], check=True, capture_output=True)
    with open(disk, "rb") as file:
        header = file.read(104)
        (l1,), (counts,) = struct.unpack(">Q", header[40:48]), struct.unpack(">Q", header[48:56])
        file.seek(l1)
        l2 = struct.unpack(">Q", file.read(8))[0] & ~(1 << 63)
        file.seek(l2)
        (first,) = struct.unpack(">Q", file.read(8))
        file.seek(counts)
        (block,) = struct.unpack(">Q", file.read(8))
    overwrite(disk, 72, struct.pack(">Q", 1))
    cluster = (first & ~(1 << 63)) >> 16
    overwrite(disk, block + 2 * cluster, struct.pack(">H", 0))
    overwrite(disk, l2 + 8, struct.pack(">QQ", 1 << 63 | 1 << 40, 1 << 63 | 3 << 16 | 512))


def command(*words):
    """What the command line says: on its output, and on the one for errors."""
    result = subprocess.run([os.environ["GUESTHOUSE_BINARY"], *words], env=ENVIRONMENT, capture_output=True, text=True)
    return result.stdout, result.stderr


def command_line(window):
    for words, said in (
        (["list"], "Es gibt noch keine Maschinen"),
        (["create", "--help"], "Ein Installationsmedium"),
        (["disk", "--help"], "Befehle:"),
        (["disk", "info", "Alte Platte.vhdx"], "ist beschädigt: keiner der beiden Köpfe"),
        (["disk", "check", "Alte Platte.vhdx"], "wandeln Sie es in qcow2 um"),
        (["show", "Niemand"], "Niemand"),
        (["create", "Kiste", "--generation", "3"], "3 ist kein Wert für --generation"),
        (["stat"], "es gibt keinen Befehl stat; meinten Sie"),
        (["create", "Kiste", "--disk", "viel"], "viel"),
    ):
        told = "".join(command(*words))
        step(told.strip())
        window.expect(f"{words} says {said}", said in told)
        for english in (r"\bthe\b", r"\bmachine\b", r"\bOptions\b", r"\bcould\b"):
            window.expect(f"nothing of {words} is in English", not re.search(english, told))


def scenario(window):
    step("the command line in German")
    command_line(window)

    step("German")
    window.wait_for_text("Noch keine Maschinen")
    window.expect("nothing of it is in English", "Machine" not in window.text())
    window.expect_names("the window in German")
    window.keys("ctrl+n")
    window.wait_for_text("Neue Maschine")
    window.picture("german")
    window.keys("Escape")

    step("what the engine says, in German")
    folder = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines", "kiste")
    os.makedirs(folder)
    os.rename("disk.qcow2", os.path.join(folder, "disk.qcow2"))
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE)
    window.find(Role.LIST_ITEM, re.compile("^Kiste,"))
    window.keys("ctrl+3")
    # In the header there would not be room for the whole of this word.
    top = window.extents(window.find(Role.PAGE_TAB, "Schnappschüsse"))[1]
    window.expect(f"the views are switched beneath the page: {top} of {window.size()}", top > window.size()[1] // 2)
    window.topic("Arbeitsspeicher", topics="Themen")
    window.wait_for_text(r"Der Rechner hat \d+ MiB Arbeitsspeicher; geben Sie der Maschine weniger\.")
    window.picture("german-finding")
    window.topic("Allgemein", topics="Themen")
    window.enter("Name", "a/b")
    window.keys("Return")
    window.wait_for_text("Ein Name darf '/' nicht enthalten")
    window.picture("german-error")

    step("what a check of a disk finds, in German")
    window.topic("Laufwerke", topics="Themen")
    window.open_row("Festplatte 1")
    window.press("Prüfen und reparieren")
    window.wait_for_text("Die Festplatte ist beschädigt")
    window.wait_for_text("liegt hinter dem Ende der Datei: Was der Gast dort gespeichert hat, ist verloren.")
    window.picture("german-check")
    window.keys("Escape")

    step("what is not done to a disk, in German")
    window.press("Verdichten")
    window.wait_for_text("nicht ordentlich geschlossen oder ist als beschädigt gekennzeichnet und kann nicht verdichtet werden; reparieren Sie")
    window.wait_for_text(r"\(Hardware › Laufwerke › Prüfen und reparieren\)")
    window.picture("german-refusal")
    window.keys("Escape")

    step("what is wrong with images, in German")
    for name, fault in BROKEN.items():
        window.choose("Hauptmenü", "m")
        window.choose_file("Maschine oder Festplatte importieren", name)
        window.wait_for_text(rf"/{name} ist beschädigt: {fault}; stellen Sie die Datei aus einer Sicherung wieder her")
        window.picture(f"german-{name.rpartition('.')[2]}")
        window.keys("Escape")


GERMAN = {"LOCPATH": LOCALES, "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8"}
ENVIRONMENT = {**os.environ, **GERMAN}
run(scenario, prepare=prepare, **GERMAN)
