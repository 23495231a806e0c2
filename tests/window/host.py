"""What stands in the wizard's place where the host cannot run machines."""

import os

from window import run, step


def scenario(window):
    step("no device")
    window.wait_for_text("No Machines Yet")
    window.keys("ctrl+n")
    window.wait_for_text(MISSING)
    window.expect_names("the page of the host's check")
    window.picture("problem")
    window.press("Check Again")
    window.wait_for_text("Still the same")

    step("the device comes")
    os.symlink("/dev/kvm", MISSING)
    window.press("Check Again")
    window.wait_for_text("Installer or Disk Image")


MISSING = os.path.abspath("kvm")
run(scenario, GUESTHOUSE_KVM_DEVICE=MISSING)
