//! Can this host run machines, and if not, why, and what helps.

use std::io;
use std::path::{Path, PathBuf};

use kvm_ioctls::{Cap, Kvm};
use serde::{Deserialize, Serialize};

/// What KVM offers here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCapabilities {
    /// How many virtual processors one machine can have.
    pub processors: usize,
    /// Whether guests' kernels are emulated instruction by instruction (KVM-PVM), which is some hundred times slower.
    pub emulated: bool,
}

/// Why this host cannot run machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}. {cause} {remedy}")]
pub struct HostProblem {
    /// In a few words.
    pub title: String,
    /// What was found.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl HostProblem {
    fn new(title: &str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            title: title.to_owned(),
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }
}

/// The device that KVM is reached by: /dev/kvm, or what the environment's `GUESTHOUSE_KVM_DEVICE` names.
pub fn device_path() -> PathBuf {
    std::env::var_os("GUESTHOUSE_KVM_DEVICE")
        .map_or_else(|| PathBuf::from("/dev/kvm"), PathBuf::from)
}

/// Whether the host can run machines now.
///
/// # Errors
/// The first thing that is in the way.
pub fn check_host() -> Result<HostCapabilities, HostProblem> {
    let path = device_path();
    let kvm = open(&path).map_err(|error| explain_open(&path, &error, &Surroundings::inspect()))?;
    examine(&path, &kvm)
}

/// Opens KVM.
///
/// # Errors
/// What speaks against it, in a person's words.
pub(super) fn open_kvm() -> Result<Kvm, HostProblem> {
    let path = device_path();
    let kvm = open(&path).map_err(|error| explain_open(&path, &error, &Surroundings::inspect()))?;
    examine(&path, &kvm)?;
    Ok(kvm)
}

fn open(path: &Path) -> io::Result<Kvm> {
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    Kvm::new_with_path(name).map_err(|error| io::Error::from_raw_os_error(error.errno()))
}

fn examine(path: &Path, kvm: &Kvm) -> Result<HostCapabilities, HostProblem> {
    let version = kvm.get_api_version();
    if version != 12 {
        return Err(HostProblem::new(
            "The device is not KVM",
            format!(
                "{} does not answer as KVM's interface 12 does (but {version}).",
                path.display()
            ),
            format!(
                "Check what {} is; after a kernel update, restart the computer.",
                path.display()
            ),
        ));
    }
    let needed = [
        (Cap::Irqchip, "interrupt controllers in the kernel"),
        (Cap::Pit2, "the interval timer in the kernel"),
        (Cap::UserMemory, "memory slots"),
        (Cap::ReadonlyMem, "read-only memory slots"),
        (Cap::ImmediateExit, "immediate exit"),
        (Cap::ExtCpuid, "processor identification"),
        (Cap::SetTssAddr, "a place for its task state"),
    ];
    if let Some((_, name)) = needed
        .iter()
        .find(|(capability, _)| !kvm.check_extension(*capability))
    {
        return Err(HostProblem::new(
            "This kernel's KVM is too old or cut down",
            format!("It lacks {name}."),
            "Use a kernel of Linux 5.10 or newer with KVM switched on.",
        ));
    }
    Ok(HostCapabilities {
        processors: kvm.get_max_vcpus(),
        emulated: Path::new("/sys/module/kvm_pvm").exists(),
    })
}

/// What else the host tells, to find the cause by.
struct Surroundings {
    /// Flags that the processors have.
    flags: String,
    /// The application's name, within a Flatpak's sandbox.
    flatpak: Option<String>,
}

impl Surroundings {
    fn inspect() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text
            .lines()
            .find(|line| line.starts_with("flags"))
            .unwrap_or_default()
            .to_owned();
        Self {
            flags,
            flatpak: std::env::var("FLATPAK_ID")
                .ok()
                .filter(|_| Path::new("/.flatpak-info").exists()),
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.split_whitespace().any(|word| word == flag)
    }
}

fn explain_open(path: &Path, error: &io::Error, around: &Surroundings) -> HostProblem {
    let name = path.display();
    if let (io::ErrorKind::NotFound, Some(application)) = (error.kind(), &around.flatpak) {
        return HostProblem::new(
            "Guesthouse may not use virtualization",
            format!("{name} is not in the Flatpak's sandbox."),
            format!(
                "Run \"flatpak override --user --device=kvm {application}\" and start Guesthouse again. If that changes nothing, the computer itself has no {name}: switch virtualization (VT-x, AMD-V or SVM) on in its firmware settings."
            ),
        );
    }
    match error.kind() {
        io::ErrorKind::NotFound if around.has("vmx") || around.has("svm") => {
            let module = if around.has("vmx") {
                "kvm_intel"
            } else {
                "kvm_amd"
            };
            HostProblem::new(
                "KVM is not loaded",
                format!("The processor can run virtual machines, but {name} is missing."),
                format!(
                    "Run \"sudo modprobe {module}\". If that fails, switch virtualization (VT-x, AMD-V or SVM) on in the computer's firmware settings."
                ),
            )
        }
        io::ErrorKind::NotFound => HostProblem::new(
            "Virtualization is off",
            format!("{name} is missing and the processor does not offer virtualization."),
            "Switch virtualization (VT-x, AMD-V or SVM) on in the computer's firmware settings. Within another virtual machine, switch nested virtualization on there.",
        ),
        io::ErrorKind::PermissionDenied => HostProblem::new(
            "You may not use virtualization",
            format!("You have no permission to open {name}."),
            "Run \"sudo usermod -aG kvm $USER\", then log out and in again.",
        ),
        _ if error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
            HostProblem::new(
                "Another program uses virtualization",
                format!("{name} is busy."),
                "Close the other program's virtual machines (VirtualBox or VMware, say), then check again.",
            )
        }
        _ if matches!(error.raw_os_error(), Some(code) if code == rustix::io::Errno::NODEV.raw_os_error() || code == rustix::io::Errno::NXIO.raw_os_error()) => {
            HostProblem::new(
                "KVM is not loaded",
                format!("{name} is there, but nothing stands behind it."),
                "Run \"sudo modprobe kvm_intel\" or \"sudo modprobe kvm_amd\"; if that fails, switch virtualization on in the computer's firmware settings.",
            )
        }
        _ => HostProblem::new(
            "Virtualization cannot be used",
            format!("{name} could not be opened: {error}."),
            "Look into the kernel's log (\"sudo dmesg\") for lines about kvm.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(kind: io::ErrorKind, flags: &str, flatpak: bool) -> HostProblem {
        let around = Surroundings {
            flags: format!("flags : fpu {flags} sse"),
            flatpak: flatpak.then(|| "org.example.Guesthouse".to_owned()),
        };
        explain_open(Path::new("/dev/kvm"), &kind.into(), &around)
    }

    #[test]
    fn each_cause_has_its_own_remedy() {
        assert!(
            explain(io::ErrorKind::NotFound, "vmx", false)
                .remedy
                .contains("kvm_intel")
        );
        assert!(
            explain(io::ErrorKind::NotFound, "svm", false)
                .remedy
                .contains("kvm_amd")
        );
        assert!(
            explain(io::ErrorKind::NotFound, "", false)
                .remedy
                .contains("firmware")
        );
        assert!(
            explain(io::ErrorKind::NotFound, "vmx", true)
                .remedy
                .contains("--device=kvm org.example.Guesthouse")
        );
        assert!(
            explain(io::ErrorKind::PermissionDenied, "vmx", false)
                .remedy
                .contains("usermod")
        );
        let around = Surroundings {
            flags: String::new(),
            flatpak: None,
        };
        let busy = explain_open(
            Path::new("/dev/kvm"),
            &io::Error::from_raw_os_error(16),
            &around,
        );
        assert!(busy.title.contains("Another program"), "{busy}");
        let absent = explain_open(
            Path::new("/dev/kvm"),
            &io::Error::from_raw_os_error(19),
            &around,
        );
        assert!(absent.remedy.contains("modprobe"), "{absent}");
    }

    #[test]
    fn a_device_that_is_something_else_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let kvm = open(file.path()).unwrap();
        let problem = examine(file.path(), &kvm).unwrap_err();
        let name = file.path().display().to_string();
        assert!(problem.title.contains("not KVM") && problem.cause.contains(&name));
    }
}
