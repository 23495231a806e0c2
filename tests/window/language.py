"""The window in another language."""

import os
import subprocess

from window import run, step

LOCALES = os.path.abspath("locales")


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


run(scenario, prepare=make_locale, LOCPATH=LOCALES, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8")
