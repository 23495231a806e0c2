//! Finds OVMF, the UEFI firmware: by the descriptors that distributions install for this purpose (specification: QEMU's
//! docs/interop/firmware.json), and at the paths that distributions without descriptors use.
//!
//! A build that requires system management mode is of no use here: there is none. Secure Boot does not need it, only that without it
//! a guest's kernel could change the keys; but the build must know Secure Boot, which its descriptor says and ordinary builds do not.
//! Where such a build comes without keys, a new machine's variables get those that computers are sold with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys;
use super::locate::{DIRECTORY_VARIABLE, LocateError};

const PACKAGES: &str =
    "ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch, Gentoo) or qemu-ovmf-x86_64 (openSUSE)";
/// Where descriptors are; one in an earlier folder hides those of its name in later ones.
const DESCRIPTORS: [&str; 5] = [
    "/app/share/qemu/firmware",
    "/etc/qemu/firmware",
    "/usr/local/share/qemu/firmware",
    "/usr/share/qemu/firmware",
    "/run/current-system/sw/share/qemu/firmware",
];
/// Code and variables where there are no descriptors.
const PATHS: [(&str, &str); 5] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-4m-code.bin",
        "/usr/share/qemu/ovmf-x86_64-4m-vars.bin",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];
/// The largest firmware, code and variables together, in bytes.
const MOST: usize = 16 << 20;
const PAGE: usize = 4096;

/// A descriptor, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    #[serde(default)]
    interface_types: Vec<String>,
    mapping: Mapping,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    #[serde(default)]
    executable: Option<Part>,
    #[serde(default)]
    nvram_template: Option<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    filename: PathBuf,
    #[serde(default)]
    format: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    #[serde(default)]
    machines: Vec<String>,
}

/// A pair of files that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    code: PathBuf,
    variables: PathBuf,
    needs_management_mode: bool,
    /// The code knows Secure Boot.
    secure_boot: bool,
    /// The variables hold keys for it.
    keys: bool,
}

impl Candidate {
    /// What a descriptor offers, if it is for a machine like ours.
    fn of_descriptor(text: &[u8]) -> Option<Self> {
        let descriptor: Descriptor = serde_json::from_slice(text).ok()?;
        let has = |feature: &str| descriptor.features.iter().any(|it| it == feature);
        let suits = descriptor.interface_types.iter().any(|it| it == "uefi")
            && descriptor.mapping.device == "flash"
            && descriptor.targets.iter().any(|target| {
                target.architecture == "x86_64"
                    && target.machines.iter().any(|it| it.starts_with("pc-q35"))
            });
        let (code, variables) = (
            descriptor.mapping.executable?,
            descriptor.mapping.nvram_template?,
        );
        (suits && code.format == "raw" && variables.format == "raw").then(|| Self {
            code: code.filename,
            variables: variables.filename,
            needs_management_mode: has("requires-smm"),
            secure_boot: has("secure-boot"),
            keys: has("enrolled-keys"),
        })
    }

    fn is_there(&self) -> bool {
        self.code.is_file() && self.variables.is_file()
    }
}

/// All candidates of a host whose folders are below `root`, best first.
fn candidates(root: &Path, chosen: Option<&Path>) -> Vec<Candidate> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let pair = |code: PathBuf, variables: PathBuf, keys| Candidate {
        code,
        variables,
        needs_management_mode: false,
        secure_boot: keys,
        keys,
    };
    let mut found = Vec::new();
    if let Some(folder) = chosen {
        for (code, variables, keyed) in [
            ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "OVMF_VARS_4M.ms.fd"),
            ("OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_VARS.ms.fd"),
        ] {
            found.push(pair(folder.join(code), folder.join(variables), false));
            found.push(pair(folder.join(code), folder.join(keyed), true));
        }
    }
    let mut descriptors: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in DESCRIPTORS {
        let Ok(entries) = below(folder).read_dir() else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|it| it == "json") {
                descriptors
                    .entry(entry.file_name())
                    .or_insert_with(|| entry.path());
            }
        }
    }
    for path in descriptors.values() {
        match read(path) {
            Ok(text) => found.extend(Candidate::of_descriptor(&text).map(|mut candidate| {
                for file in [&mut candidate.code, &mut candidate.variables] {
                    *file = below(&file.to_string_lossy());
                }
                candidate
            })),
            Err(error) => tracing::warn!(file = %path.display(), %error, "a firmware descriptor"),
        }
    }
    for (code, variables) in PATHS {
        found.push(pair(below(code), below(variables), false));
    }
    found.retain(Candidate::is_there);
    found
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    File::open(path)?
        .take(MOST as u64 + 1)
        .read_to_end(&mut data)?;
    Ok(data)
}

/// The folder of firmware that the environment names.
fn chosen() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY_VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A UEFI firmware: its code, which is never changed, and what a new machine's variables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uefi {
    /// The code, whose end is at 4 GiB.
    pub code: Vec<u8>,
    /// The template of the variables, which stand before the code.
    pub variables: Vec<u8>,
    /// The template's file, for messages.
    pub template: PathBuf,
}

impl Uefi {
    /// Finds this host's; with keys in the variables if `secure_boot`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn of_host(secure_boot: bool) -> Result<Self, LocateError> {
        Self::find(Path::new("/"), chosen().as_deref(), secure_boot)
    }

    /// Whether this host has a build that knows Secure Boot; looks for files only.
    pub fn has_secure_boot() -> bool {
        Self::for_secure_boot(&candidates(Path::new("/"), chosen().as_deref())).is_some()
    }

    /// The best for Secure Boot: one with keys of its own, else one that ours are for. Keys alone do not make it: an ordinary build, which
    /// does not know it, takes them and then starts whatever there is.
    fn for_secure_boot(candidates: &[Candidate]) -> Option<&Candidate> {
        let mut suitable = candidates
            .iter()
            .filter(|it| !it.needs_management_mode && it.secure_boot);
        suitable.clone().find(|it| it.keys).or(suitable.next())
    }

    fn find(root: &Path, chosen: Option<&Path>, secure_boot: bool) -> Result<Self, LocateError> {
        let candidates = candidates(root, chosen);
        let plain = candidates
            .iter()
            .find(|it| !it.needs_management_mode && !it.keys)
            .ok_or_else(|| LocateError::Missing {
                file: "OVMF_CODE_4M.fd (UEFI)",
                packages: PACKAGES,
                directories: DESCRIPTORS.join(", "),
            })?;
        if !secure_boot {
            return Self::load(&plain.code, &plain.variables);
        }
        let secure = Self::for_secure_boot(&candidates).ok_or(LocateError::NoSecureBoot)?;
        let mut uefi = Self::load(&secure.code, &secure.variables)?;
        if !secure.keys {
            uefi.variables =
                keys::enrol(&uefi.variables).ok_or_else(|| LocateError::Unsuitable {
                    path: secure.variables.clone(),
                    fault: "it is no empty store of variables, which keys for Secure Boot could be added to",
                    packages: PACKAGES,
                })?;
        }
        Ok(uefi)
    }

    fn load(code_file: &Path, template: &Path) -> Result<Self, LocateError> {
        let load = |path: &Path| {
            read(path).map_err(|source| LocateError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let (code, variables) = (load(code_file)?, load(template)?);
        let fault = |path: &Path, fault| {
            Err(LocateError::Unsuitable {
                path: path.to_owned(),
                fault,
                packages: PACKAGES,
            })
        };
        if code.is_empty() || !code.len().is_multiple_of(PAGE) {
            return fault(code_file, "it is not a number of whole pages long");
        }
        if code.len() + variables.len() > MOST {
            return fault(code_file, "it is longer than 16 MiB");
        }
        if !are_variables(&variables) {
            return fault(template, "it does not begin with a firmware volume");
        }
        Ok(Self {
            code,
            variables,
            template: template.to_owned(),
        })
    }
}

/// Whether `data` begins like a volume of variables: a firmware volume header (UEFI Platform Initialization, volume 3), whole pages.
pub(super) fn are_variables(data: &[u8]) -> bool {
    !data.is_empty() && data.len().is_multiple_of(PAGE) && data.get(40..44) == Some(b"_FVH")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn variables(mark: u8) -> Vec<u8> {
        let mut data = vec![mark; 2 * PAGE];
        data[40..44].copy_from_slice(b"_FVH");
        data
    }

    fn put(root: &Path, path: &str, data: &[u8]) {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data).unwrap();
    }

    fn descriptor(code: &str, variables: &str, features: &str) -> String {
        format!(
            r#"{{"description": "x", "interface-types": ["uefi"], "mapping": {{"device": "flash",
            "executable": {{"filename": "{code}", "format": "raw"}},
            "nvram-template": {{"filename": "{variables}", "format": "raw"}}}},
            "targets": [{{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}}],
            "features": [{features}], "tags": []}}"#
        )
    }

    /// A host as Debian's package makes it.
    fn debian() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        for (name, text) in [
            (
                "40-enrolled",
                descriptor(
                    "/fw/smm.fd",
                    "/fw/keys.fd",
                    r#""enrolled-keys", "requires-smm", "secure-boot""#,
                ),
            ),
            (
                "50-secure",
                descriptor("/fw/smm.fd", "/fw/plain.fd", r#""requires-smm""#),
            ),
            ("60-plain", descriptor("/fw/code.fd", "/fw/plain.fd", "")),
        ] {
            put(
                path,
                &format!("/usr/share/qemu/firmware/{name}.json"),
                text.as_bytes(),
            );
        }
        put(path, "/fw/smm.fd", &[9; PAGE]);
        put(path, "/fw/code.fd", &[1; PAGE]);
        put(path, "/fw/plain.fd", &variables(2));
        put(path, "/fw/keys.fd", &variables(3));
        root
    }

    #[test]
    fn builds_that_need_management_mode_are_passed_over() {
        let root = debian();
        let uefi = Uefi::find(root.path(), None, false).unwrap();
        assert_eq!((uefi.code[0], uefi.variables[0]), (1, 2));
    }

    #[test]
    fn secure_boot_needs_a_build_that_has_it_without_management_mode() {
        let root = debian();
        let error = Uefi::find(root.path(), None, true).unwrap_err();
        assert!(matches!(error, LocateError::NoSecureBoot));
        assert!(error.to_string().contains("switch Secure Boot off"));
        for (features, suits) in [
            (r#""enrolled-keys""#, false),
            (r#""secure-boot", "requires-smm""#, false),
            (r#""enrolled-keys", "secure-boot""#, true),
        ] {
            put(
                root.path(),
                "/etc/qemu/firmware/70-own.json",
                descriptor("/fw/own.fd", "/fw/keys.fd", features).as_bytes(),
            );
            put(root.path(), "/fw/own.fd", &[7; PAGE]);
            let found = Uefi::find(root.path(), None, true);
            assert_eq!(found.is_ok(), suits, "{features}");
            if let Ok(uefi) = found {
                assert_eq!((uefi.code[0], uefi.variables[0]), (7, 3));
            }
        }
    }

    #[test]
    fn a_build_without_keys_gets_ours_and_only_for_secure_boot() {
        let root = debian();
        let describe = |name: &str, variables: &str, features: &str| {
            let text = descriptor("/fw/own.fd", variables, features);
            put(
                root.path(),
                &format!("/etc/qemu/firmware/{name}.json"),
                text.as_bytes(),
            );
        };
        let find = |secure_boot| Uefi::find(root.path(), None, secure_boot);
        describe("10-own", "/fw/blank.fd", r#""secure-boot""#);
        put(root.path(), "/fw/own.fd", &[7; PAGE]);
        put(root.path(), "/fw/blank.fd", &variables(3));
        let fault = find(true).unwrap_err();
        assert!(fault.to_string().contains("blank.fd"), "{fault}");
        let blank = keys::tests::template(0xe000);
        put(root.path(), "/fw/blank.fd", &blank);
        let uefi = find(true).unwrap();
        assert_eq!(uefi.code[0], 7);
        assert_eq!(Some(&uefi.variables), keys::enrol(&blank).as_ref());
        assert_eq!(find(false).unwrap().variables, blank);
        // A template with keys of its own is the better one.
        describe(
            "70-keys",
            "/fw/keys.fd",
            r#""enrolled-keys", "secure-boot""#,
        );
        assert_eq!(find(true).unwrap().variables, variables(3));
    }

    #[test]
    fn an_administrators_descriptor_hides_the_distributions() {
        let root = debian();
        put(
            root.path(),
            "/etc/qemu/firmware/60-plain.json",
            descriptor("/fw/own.fd", "/fw/plain.fd", "").as_bytes(),
        );
        put(root.path(), "/fw/own.fd", &[7; PAGE]);
        assert_eq!(Uefi::find(root.path(), None, false).unwrap().code[0], 7);
    }

    #[test]
    fn paths_and_a_chosen_folder_do_without_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let error = Uefi::find(root.path(), None, false).unwrap_err();
        assert!(error.to_string().contains("edk2-ovmf"), "{error}");
        put(
            root.path(),
            "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
            &[4; PAGE],
        );
        put(
            root.path(),
            "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
            &variables(5),
        );
        assert_eq!(Uefi::find(root.path(), None, false).unwrap().code[0], 4);
        let chosen = root.path().join("chosen");
        put(&chosen, "OVMF_CODE.fd", &[6; PAGE]);
        put(&chosen, "OVMF_VARS.fd", &variables(7));
        let uefi = Uefi::find(root.path(), Some(&chosen), false).unwrap();
        assert_eq!(uefi.code[0], 6);
    }

    #[test]
    fn files_that_are_something_else_are_refused() {
        let root = debian();
        for (file, data) in [
            ("/fw/code.fd", vec![1; 100]),
            ("/fw/code.fd", vec![1; MOST]),
            ("/fw/plain.fd", vec![0; 2 * PAGE]),
        ] {
            let root = debian();
            put(root.path(), file, &data);
            assert!(matches!(
                Uefi::find(root.path(), None, false),
                Err(LocateError::Unsuitable { .. })
            ));
        }
        for text in ["", "{", "[]", r#"{"mapping": 1}"#] {
            put(
                root.path(),
                "/usr/share/qemu/firmware/10-broken.json",
                text.as_bytes(),
            );
            assert!(Uefi::find(root.path(), None, false).is_ok());
        }
    }
}
