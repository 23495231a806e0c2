//! What the virtual processors say of themselves: the host's features as far as KVM can give them, with a topology of the
//! machine's own. A processor's number is its APIC identifier: that holds since a package of several has a power of two of cores.
//! Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.

use crate::definition::Topology;
use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// How many bits an APIC identifier needs to number `count` processors.
fn identifier_bits(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Leaf 1, ECX: VMX.
const VMX: u32 = 1 << 5;
/// Leaf 8000_0001h, ECX: SVM.
const SVM: u32 = 1 << 2;

/// Whether processors as the host supports them have Intel's virtualization.
pub(super) fn has_vmx(supported: &CpuId) -> bool {
    let mut leaves = supported.as_slice().iter();
    leaves.any(|leaf| leaf.function == 1 && leaf.ecx & VMX != 0)
}

/// What processor number `index` answers, made from what the host supports; with the host's virtualization in it only if `nested`.
pub(super) fn for_processor(
    supported: &CpuId,
    index: u32,
    topology: Topology,
    nested: bool,
    deadline_timer: bool,
) -> Result<CpuId, vmm_sys_util::fam::Error> {
    // The processors of a package, and how far an identifier is shifted for that of the core and of the package.
    let count = topology.cores.saturating_mul(topology.threads).max(1);
    let core_shift = identifier_bits(topology.threads);
    let bits = core_shift + identifier_bits(topology.cores);
    let mut entries: Vec<kvm_cpuid_entry2> = supported.as_slice().to_vec();
    let extended_topology = entries.iter().any(|entry| entry.function == 0xb);
    entries.retain(|entry| entry.function != 0xb && entry.function != 0x1f);
    if !nested {
        // With it goes the leaf of its features.
        entries.retain(|entry| entry.function != 0x8000_000a);
        for entry in &mut entries {
            match entry.function {
                0x1 => entry.ecx &= !VMX,
                0x8000_0001 => entry.ecx &= !SVM,
                _ => {}
            }
        }
    }
    for entry in &mut entries {
        match entry.function {
            0x1 => {
                // Brand index, CLFLUSH size (8 quadwords), processors in the package, own APIC identifier.
                entry.ebx = (index << 24) | (count.min(255) << 16) | (8 << 8) | (entry.ebx & 0xff);
                // Running under a hypervisor; no MONITOR (guests would idle without leaving the processor).
                entry.ecx = (entry.ecx | 1 << 31) & !(1 << 3);
                entry.ecx = if deadline_timer {
                    entry.ecx | 1 << 24
                } else {
                    entry.ecx & !(1 << 24)
                };
                // Hyper-threading flag: more than one logical processor in the package.
                entry.edx = if count > 1 {
                    entry.edx | 1 << 28
                } else {
                    entry.edx & !(1 << 28)
                };
            }
            // Deterministic cache parameters: levels 1 and 2 belong to one core, level 3 to the package.
            0x4 if entry.eax & 0x1f != 0 => {
                let sharing = if (entry.eax >> 5) & 7 < 3 {
                    (1 << core_shift) - 1
                } else {
                    (1 << bits) - 1
                };
                let cores = (1 << (bits - core_shift)) - 1;
                entry.eax = (entry.eax & 0x3fff) | (sharing << 14) | (cores << 26);
            }
            // Performance monitoring: KVM's word stands; nothing of the topology in it.
            0x8000_0008 => {
                entry.ecx = (entry.ecx & !0xf0ff) | (bits << 12) | (count.min(256) - 1);
            }
            0x8000_001e => {
                // Own identifier; threads of a core less one, and which core of the package; a node for each package.
                let core = (index >> core_shift) & ((1 << (bits - core_shift)) - 1);
                entry.eax = index;
                entry.ebx = (topology.threads.saturating_sub(1) << 8) | (core & 0xff);
                entry.ecx = (index >> bits) & 0xff;
            }
            _ => {}
        }
    }
    if extended_topology {
        let level = |subleaf: u32, shift: u32, processors: u32, kind: u32| kvm_cpuid_entry2 {
            function: 0xb,
            index: subleaf,
            flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            eax: shift,
            ebx: processors,
            ecx: (kind << 8) | subleaf,
            edx: index,
            ..Default::default()
        };
        entries.extend([
            level(0, core_shift, topology.threads, 1),
            level(1, bits, count, 2),
            level(2, 0, 0, 0),
        ]);
    }
    CpuId::from_entries(&entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supported() -> CpuId {
        let entry = |function, index, eax, ebx, ecx, edx| kvm_cpuid_entry2 {
            function,
            index,
            eax,
            ebx,
            ecx,
            edx,
            ..Default::default()
        };
        CpuId::from_entries(&[
            entry(0x1, 0, 0x806f8, 0x0710_0800, 0x8 | VMX | 1 << 24, 1 << 28),
            entry(0x4, 0, 0x0c00_4121, 0, 0, 0),
            entry(0x4, 3, 0x0c00_4163, 0, 0, 0),
            entry(0xb, 0, 1, 2, 0x100, 7),
            entry(0x1f, 0, 1, 2, 0x100, 7),
            entry(0x8000_0001, 0, 0, 0, SVM | 1, 0),
            entry(0x8000_000a, 0, 1, 8, 0, 0),
            entry(0x8000_0008, 0, 0x3030, 0, 0x7007, 0),
            entry(0x8000_001e, 0, 9, 0x109, 0x3, 0),
        ])
        .unwrap()
    }

    fn topology(sockets: u32, cores: u32, threads: u32) -> Topology {
        Topology {
            sockets,
            cores,
            threads,
        }
    }

    fn leaf(cpuid: &CpuId, function: u32, index: u32) -> kvm_cpuid_entry2 {
        *cpuid
            .as_slice()
            .iter()
            .find(|entry| entry.function == function && entry.index == index)
            .unwrap()
    }

    #[test]
    fn the_topology_is_the_machines_own() {
        let cpuid = for_processor(&supported(), 2, topology(1, 3, 1), false, true).unwrap();
        let one = leaf(&cpuid, 1, 0);
        assert_eq!((one.ebx >> 24, (one.ebx >> 16) & 0xff), (2, 3));
        assert_eq!(
            one.ecx,
            1 << 31 | 1 << 24,
            "no MONITOR, under a hypervisor, deadline timer"
        );
        assert_eq!(
            leaf(&cpuid, 4, 0).eax,
            0x0c00_0121,
            "level 1 is the core's own: 4 identifiers in the package"
        );
        assert_eq!(
            leaf(&cpuid, 4, 3).eax,
            0x0c00_c163,
            "level 3 is shared by the package"
        );
        assert_eq!((leaf(&cpuid, 0xb, 0).eax, leaf(&cpuid, 0xb, 0).ebx), (0, 1));
        assert_eq!(
            (
                leaf(&cpuid, 0xb, 1).eax,
                leaf(&cpuid, 0xb, 1).ebx,
                leaf(&cpuid, 0xb, 1).edx
            ),
            (2, 3, 2)
        );
        assert!(!cpuid.as_slice().iter().any(|entry| entry.function == 0x1f));
        assert_eq!(leaf(&cpuid, 0x8000_0008, 0).ecx, 0x2002);
        assert_eq!(leaf(&cpuid, 0x8000_001e, 0).eax, 2);
    }

    #[test]
    fn guests_see_the_hosts_virtualization_only_when_they_may_nest() {
        for nested in [false, true] {
            let cpuid = for_processor(&supported(), 0, Topology::ONE, nested, false).unwrap();
            assert_eq!(leaf(&cpuid, 1, 0).ecx & VMX != 0, nested);
            assert_eq!(
                leaf(&cpuid, 0x8000_0001, 0).ecx,
                if nested { SVM | 1 } else { 1 }
            );
            let mut leaves = cpuid.as_slice().iter();
            assert_eq!(leaves.any(|leaf| leaf.function == 0x8000_000a), nested);
            assert_eq!(has_vmx(&cpuid), nested);
        }
    }

    #[test]
    fn one_processor_is_not_called_many() {
        let cpuid = for_processor(&supported(), 0, topology(1, 1, 1), false, false).unwrap();
        let one = leaf(&cpuid, 1, 0);
        assert_eq!(
            (one.edx & (1 << 28), one.ecx & (1 << 24), one.ebx >> 16),
            (0, 0, 1)
        );
        assert_eq!(leaf(&cpuid, 4, 3).eax >> 14, 0);
    }

    #[test]
    fn packages_cores_and_threads_are_told_apart() {
        // The second thread of the third core of the second package.
        let cpuid = for_processor(&supported(), 8 + 5, topology(2, 4, 2), false, false).unwrap();
        let one = leaf(&cpuid, 1, 0);
        assert_eq!((one.ebx >> 24, (one.ebx >> 16) & 0xff), (13, 8));
        assert_eq!(one.edx & (1 << 28), 1 << 28);
        let sharing = |index| (leaf(&cpuid, 4, index).eax >> 14) & 0xfff;
        assert_eq!((sharing(0), sharing(3)), (1, 7));
        assert_eq!(leaf(&cpuid, 4, 3).eax >> 26, 3, "identifiers of cores");
        let levels = [0, 1].map(|index| {
            let level = leaf(&cpuid, 0xb, index);
            (level.eax, level.ebx, level.edx)
        });
        assert_eq!(levels, [(1, 2, 13), (3, 8, 13)]);
        assert_eq!(leaf(&cpuid, 0x8000_0008, 0).ecx, 0x3007);
        let amd = leaf(&cpuid, 0x8000_001e, 0);
        assert_eq!((amd.eax, amd.ebx, amd.ecx), (13, 0x102, 1));
    }
}
