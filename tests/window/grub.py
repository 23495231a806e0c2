"""GRUB's rescue medium in the window: its menu is drawn and takes keys: grub.py ISO."""

import os
import re
import sys
import time

from window import Role, run, step


def scenario(window):
    window.wait_for_text("No Machines Yet")
    window.press("New Machine")
    window.enter("File", sys.argv[1])
    window.wait_for_text("Supported · Optical disc")
    window.press("Create")
    grub = os.path.splitext(os.path.basename(sys.argv[1]))[0]
    window.find(Role.LIST_ITEM, re.compile(f"^{grub}, Running"))

    step("GRUB's menu")
    window.wait_for_guest(grub, "*GNU/Linux", 150)
    window.wait_for_picture(grub)

    def moved():
        # GRUB lets interrupts in for moments only, in which some hosts' KVM loses keys.
        window.keys("Down")
        time.sleep(3)
        text = window.guest_text(grub)
        return "GNU GRUB" in text and "*GNU/Linux" not in text

    window.wait("the highlight to move", moved, 150)
    window.wait_for_picture(grub)

    step("leave")
    window.release()
    window.keys("ctrl+q")
    window.wait_for_text("Still Running")
    window.press("Force Off")
    window.wait_for_end()


run(scenario)
