"""The window in another language."""

import os
import re
import subprocess

from window import Role, run, step

LOCALES = os.path.abspath("locales")

# It asks for more memory than any computer has.
MACHINE = """schema = 1
uuid = "0b2e7f5e-54c8-4a5c-8f0b-6f6e5f3c5b0e"
name = "Kiste"
generation = 1

[memory]
mebibytes = 99999999
"""


def make_locale(_machines):
    """The catalogues are only looked at in a locale of a language, which a small system may lack."""
    os.mkdir(LOCALES)
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(LOCALES, "de_DE.UTF-8")], check=True)


def scenario(window):
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
    with open(os.path.join(folder, "machine.toml"), "w") as file:
        file.write(MACHINE)
    window.find(Role.LIST_ITEM, re.compile("^Kiste,"))
    window.keys("ctrl+3")
    window.topic("Arbeitsspeicher", topics="Themen")
    window.wait_for_text(r"Der Rechner hat \d+ MiB Arbeitsspeicher; geben Sie der Maschine weniger\.")
    window.picture("german-finding")
    window.topic("Allgemein", topics="Themen")
    window.enter("Name", "a/b")
    window.keys("Return")
    window.wait_for_text("Ein Name darf '/' nicht enthalten")
    window.picture("german-error")


run(scenario, prepare=make_locale, LOCPATH=LOCALES, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8")
