// A module for the rig's outer machine: KVM for AMD-V sees every write of a guest to CR8. It lets them pass where nothing could come of them, but
// QEMU's emulation aborts at one that happens while KVM waits for the guest to take interrupts (helper_write_crN calls cpu_interrupt without
// its lock), and UEFI firmware writes CR8 at the end of every interrupt. KVM intercepts the writes when the task priority is at least that of
// the interrupt that waits: so it is told, always.
#include <linux/kprobes.h>
#include <linux/module.h>

// svm_update_cr8_intercept(vcpu, task priority, priority of the interrupt that waits)
static int before(struct kprobe *probe, struct pt_regs *registers)
{
	registers->si = 15;
	registers->dx = 0;
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "svm_update_cr8_intercept",
	.pre_handler = before,
};

static int __init rig_module_init(void)
{
	return register_kprobe(&probe);
}

static void __exit rig_module_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(rig_module_init);
module_exit(rig_module_exit);
MODULE_LICENSE("GPL");
