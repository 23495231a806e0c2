//! Keys for Secure Boot in a firmware's template of variables that has none: what computers are sold with (keys/README.md).
//!
//! Layout of the store: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h; of the variables: UEFI 2.10, sections 8.2.2 (attributes and
//! time of authenticated variables), 32.3 and 32.4.1 (PK, KEK, db and lists of signatures).

/// A GUID as it stands in memory: its first three fields with the lowest byte first.
type Guid = [u8; 16];

/// Of the store of authenticated variables: gEfiAuthenticatedVariableGuid.
const STORE: Guid = guid(0xaaf3_2c78, 0x947b, 0x439a, 0xa180_2e14_4ec3_7792);
/// Of `PK` and `KEK`: EFI_GLOBAL_VARIABLE.
const GLOBAL: Guid = guid(0x8be4_df61, 0x93ca, 0x11d2, 0xaa0d_00e0_9803_2b8c);
/// Of `db`: EFI_IMAGE_SECURITY_DATABASE_GUID.
const IMAGE_SECURITY: Guid = guid(0xd719_b2cb, 0x3d3a, 0x4596, 0xa3bc_dad0_0e67_656f);
/// Of `SecureBootEnable`: gEfiSecureBootEnableDisableGuid.
const ENABLE: Guid = guid(0xf0a3_0bc7, 0xaf08, 0x4556, 0x99c4_0010_09c9_3a44);
/// Of `CustomMode`: gEfiCustomModeEnableGuid.
const CUSTOM_MODE: Guid = guid(0xc076_ec0c, 0x7028, 0x4399, 0xa072_71ee_5c44_8b9f);
/// What a list of X.509 certificates is marked with: EFI_CERT_X509_GUID.
const X509: Guid = guid(0xa5c0_59a1, 0x94e4, 0x4aa7, 0x87b5_ab15_5c2b_f072);
/// Who brought Microsoft's certificates, by which their own programs know them.
const MICROSOFT: Guid = guid(0x77fa_9abd, 0x0359, 0x4d32, 0xbd60_28f4_e78f_784b);
/// Who brought ours.
const GUESTHOUSE: Guid = guid(0x1114_bb87, 0x83ba, 0x4d9e, 0xb6bb_ca3a_b778_b419);

/// Non-volatile, and there for boot services.
const BOOT: u32 = 0x03;
/// These, there for the system too, and changed only by what is signed.
const AUTHENTICATED: u32 = 0x27;

/// The store is formatted and sound.
const HEALTHY: [u8; 2] = [0x5a, 0xfe];
const STORE_HEADER: usize = 28;
/// What a variable begins with.
const START: u16 = 0x55aa;
/// It is there, whole.
const ADDED: u8 = 0x3f;
const ALIGNMENT: usize = 4;
/// When the keys were set: 1 January 2010, before any signed change of them. Year, month, day, and the rest of an EFI_TIME.
const TIME: [u8; 16] = [0xda, 0x07, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const WINDOWS_2011: &[u8] = include_bytes!("keys/windows-2011.der");
const WINDOWS_2023: &[u8] = include_bytes!("keys/windows-2023.der");
const UEFI_2011: &[u8] = include_bytes!("keys/microsoft-uefi-2011.der");
const UEFI_2023: &[u8] = include_bytes!("keys/microsoft-uefi-2023.der");
const KEK_2011: &[u8] = include_bytes!("keys/microsoft-kek-2011.der");
const KEK_2023: &[u8] = include_bytes!("keys/microsoft-kek-2023.der");
const PLATFORM: &[u8] = include_bytes!("keys/platform.der");

const fn guid(first: u32, second: u16, third: u16, rest: u64) -> Guid {
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f] = second.to_le_bytes();
    let [g, h] = third.to_le_bytes();
    let [i, j, k, l, m, n, o, p] = rest.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// `template` with the keys and Secure Boot switched on; nothing if it is not an empty store of authenticated variables, or too small.
pub(super) fn enrol(template: &[u8]) -> Option<Vec<u8>> {
    let (start, end) = empty_store(template)?;
    let mut variables = Vec::new();
    let trusted = [WINDOWS_2011, WINDOWS_2023, UEFI_2011, UEFI_2023];
    for (name, vendor, attributes, data) in [
        (
            "db",
            IMAGE_SECURITY,
            AUTHENTICATED,
            list(MICROSOFT, &trusted),
        ),
        (
            "KEK",
            GLOBAL,
            AUTHENTICATED,
            list(MICROSOFT, &[KEK_2011, KEK_2023]),
        ),
        ("PK", GLOBAL, AUTHENTICATED, list(GUESTHOUSE, &[PLATFORM])),
        ("SecureBootEnable", ENABLE, BOOT, vec![1]),
        ("CustomMode", CUSTOM_MODE, BOOT, vec![0]),
    ] {
        add(&mut variables, name, vendor, attributes, &data);
    }
    let mut enrolled = template.to_vec();
    enrolled
        .get_mut(start..end)?
        .get_mut(..variables.len())?
        .copy_from_slice(&variables);
    Some(enrolled)
}

/// Where the variables of an empty store go: from behind its header to its end.
fn empty_store(template: &[u8]) -> Option<(usize, usize)> {
    let header_length: [u8; 2] = template.get(48..50)?.try_into().ok()?;
    let begin = usize::from(u16::from_le_bytes(header_length));
    let header = template.get(begin..begin + STORE_HEADER)?;
    let size: [u8; 4] = header.get(16..20)?.try_into().ok()?;
    let end = begin.checked_add(usize::try_from(u32::from_le_bytes(size)).ok()?)?;
    let start = begin + STORE_HEADER;
    let is_empty = template.get(start..end)?.iter().all(|byte| *byte == 0xff);
    (header.get(..16)? == STORE && header.get(20..22)? == HEALTHY && is_empty)
        .then_some((start, end))
}

/// Lists of one certificate each, as their lengths differ.
fn list(owner: Guid, certificates: &[&[u8]]) -> Vec<u8> {
    let mut data = Vec::new();
    for certificate in certificates {
        let signature = length(owner.len() + certificate.len());
        data.extend(X509);
        data.extend((28 + signature).to_le_bytes());
        data.extend(0_u32.to_le_bytes());
        data.extend(signature.to_le_bytes());
        data.extend(owner);
        data.extend(*certificate);
    }
    data
}

fn add(variables: &mut Vec<u8>, name: &str, vendor: Guid, attributes: u32, data: &[u8]) {
    let name: Vec<u8> = name
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let authenticated = attributes == AUTHENTICATED;
    variables.extend(START.to_le_bytes());
    variables.extend([ADDED, 0]);
    variables.extend(attributes.to_le_bytes());
    // A counter that time took the place of, the time, and an index that is not used.
    variables.extend(0_u64.to_le_bytes());
    variables.extend(if authenticated { TIME } else { [0; 16] });
    variables.extend(0_u32.to_le_bytes());
    variables.extend(length(name.len()).to_le_bytes());
    variables.extend(length(data.len()).to_le_bytes());
    variables.extend(vendor);
    variables.extend(name);
    variables.extend(data);
    variables.resize(variables.len().next_multiple_of(ALIGNMENT), 0xff);
}

/// Certificates and names have some thousand bytes.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A template as OVMF's, with a store of that size.
    pub fn template(size: u32) -> Vec<u8> {
        let mut data = vec![0xff; 0x1_0000];
        data[40..44].copy_from_slice(b"_FVH");
        data[48..50].copy_from_slice(&72_u16.to_le_bytes());
        data[72..88].copy_from_slice(&STORE);
        data[88..92].copy_from_slice(&size.to_le_bytes());
        data[92..94].copy_from_slice(&HEALTHY);
        data[94..100].fill(0);
        data
    }

    fn number(data: &[u8], at: usize) -> usize {
        u32::from_le_bytes(data[at..at + 4].try_into().unwrap()) as usize
    }

    /// What a firmware reads: names, vendors, attributes and data.
    fn variables(data: &[u8]) -> Vec<(String, Guid, usize, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 100;
        while data[at..at + 2] == [0xaa, 0x55] {
            assert_eq!(data[at + 2], ADDED);
            let (name, content) = (number(data, at + 36), number(data, at + 40));
            let text: Vec<u16> = data[at + 60..at + 60 + name]
                .chunks(2)
                .map(|pair| u16::from_le_bytes(pair.try_into().unwrap()))
                .collect();
            let text = String::from_utf16(text.strip_suffix(&[0]).unwrap()).unwrap();
            let begin = at + 60 + name;
            found.push((
                text,
                data[at + 44..at + 60].try_into().unwrap(),
                number(data, at + 4),
                data[begin..begin + content].to_vec(),
            ));
            at = (begin + content).next_multiple_of(4);
        }
        assert!(data[at..].iter().all(|byte| *byte == 0xff));
        found
    }

    #[test]
    fn a_blank_template_gets_the_keys_and_secure_boot() {
        let blank = template(0xe000);
        let enrolled = enrol(&blank).unwrap();
        assert_eq!(enrolled.len(), blank.len());
        assert_eq!(enrolled[..100], blank[..100]);
        let found = variables(&enrolled);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["db", "KEK", "PK", "SecureBootEnable", "CustomMode"]);
        for (name, vendor, attributes, _) in &found {
            let (expected, is_key) = match name.as_str() {
                "db" => (IMAGE_SECURITY, true),
                "KEK" | "PK" => (GLOBAL, true),
                "SecureBootEnable" => (ENABLE, false),
                _ => (CUSTOM_MODE, false),
            };
            assert_eq!(*vendor, expected, "{name}");
            assert_eq!(*attributes, if is_key { 0x27 } else { 3 }, "{name}");
        }
        assert_eq!(
            (found[3].3.as_slice(), found[4].3.as_slice()),
            (&[1][..], &[0][..])
        );
        // Every list ends where the next begins, and holds one certificate, whose DER says how long it is.
        for (key, count) in [(0, 4), (1, 2), (2, 1)] {
            let (name, _, _, data) = &found[key];
            let (mut at, mut certificates) = (0, 0);
            while at < data.len() {
                let (whole, signature) = (number(data, at + 16), number(data, at + 24));
                assert_eq!(data[at..at + 16], X509, "{name}");
                assert_eq!(whole, 28 + signature, "{name}");
                let certificate = &data[at + 44..at + whole];
                assert_eq!(certificate[..2], [0x30, 0x82], "{name}");
                let inside = usize::from(u16::from_be_bytes([certificate[2], certificate[3]]));
                assert_eq!(certificate.len(), inside + 4, "{name}");
                at += whole;
                certificates += 1;
            }
            assert_eq!((at, certificates), (data.len(), count), "{name}");
        }
    }

    #[test]
    fn guids_are_in_the_order_of_memory() {
        assert_eq!(
            GLOBAL,
            [
                0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03,
                0x2b, 0x8c
            ]
        );
    }

    #[test]
    fn what_is_no_empty_store_is_left_alone() {
        let mut used = template(0xe000);
        used[100..102].copy_from_slice(&[0xaa, 0x55]);
        let mut unauthenticated = template(0xe000);
        unauthenticated[72] ^= 1;
        let mut broken = template(0xe000);
        broken[92] = 0;
        let mut far = template(0xe000);
        far[48..50].copy_from_slice(&[0xff; 2]);
        for (case, data) in [
            ("it holds variables", used),
            ("variables of the old kind", unauthenticated),
            ("not formatted", broken),
            ("a header beyond the end", far),
            ("no room", template(4096)),
            ("no room for a header", template(8)),
            ("larger than the file", template(u32::MAX)),
            ("cut", template(0xe000)[..90].to_vec()),
            ("empty", Vec::new()),
        ] {
            assert_eq!(enrol(&data), None, "{case}");
        }
        // Ours, once enrolled, is a used one.
        assert_eq!(enrol(&enrol(&template(0xe000)).unwrap()), None);
    }
}
