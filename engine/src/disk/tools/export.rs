//! A machine packed up as an OVA: its description and its disks as stream-optimised VMDKs in one tar archive, which every other
//! virtual machine manager imports.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::convert::content_id;
use super::copy::copy;
use super::sinks::VmdkSink;
use super::{Job, Phase, Source, ToolError, Unfinished};

const BLOCK: u64 = 512;
/// Bytes that are kept for the description, which is written when the sizes of the disks are known.
const DESCRIPTION: u64 = 16 << 10;

/// A machine that is to be packed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Virtual processors.
    pub processors: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// It starts by UEFI.
    pub uefi: bool,
    /// What its operating system is called.
    pub operating_system: Option<String>,
    /// How many network cards it has.
    pub networks: usize,
    /// Its disks.
    pub disks: Vec<Source>,
}

/// A disk as it is in the archive.
struct Packed {
    name: String,
    length: u64,
    capacity: u64,
}

/// Writes the machine to a file that was begun.
///
/// # Errors
/// When a disk cannot be read, the file cannot be written, or the job is cancelled; nothing is left behind.
pub fn export(machine: &Export, unfinished: Unfinished, job: &Job<'_>) -> Result<(), ToolError> {
    let (file, target) = (unfinished.file(), unfinished.target());
    let host = |source: io::Error| ToolError::from_host("write to", target, source);
    let stem: String = target
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || "-_.".contains(character) {
                character
            } else {
                '-'
            }
        })
        .take(60)
        .collect();
    let mut at = BLOCK + DESCRIPTION;
    let mut packed = Vec::new();
    for (number, source) in machine.disks.iter().enumerate() {
        let chain = source.open()?;
        let name = format!("{stem}-disk{}.vmdk", number + 1);
        job.begin(Phase::Copying, chain.size())?;
        let sink = VmdkSink::new(file, target, at + BLOCK, chain.size());
        copy(&chain, &sink, job)?;
        let length = sink.finish(&name, content_id())?;
        file.write_all_at(&header(&name, length), at)
            .map_err(host)?;
        at = (at + BLOCK + length).next_multiple_of(BLOCK);
        packed.push(Packed {
            name,
            length,
            capacity: chain.size().next_multiple_of(BLOCK),
        });
    }
    let mut text = describe(machine, &packed).into_bytes();
    if text.len() as u64 > DESCRIPTION {
        return Err(ToolError::refused(
            target,
            "would have too many disks",
            "export fewer of them",
        ));
    }
    text.resize(usize::try_from(DESCRIPTION).unwrap_or(text.len()), b'\n');
    file.write_all_at(&header(&format!("{stem}.ovf"), DESCRIPTION), 0)
        .map_err(host)?;
    file.write_all_at(&text, BLOCK).map_err(host)?;
    end(file, at).map_err(host)?;
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

/// Two empty blocks end an archive, in records of twenty.
fn end(file: &File, at: u64) -> io::Result<()> {
    file.set_len((at + 2 * BLOCK).next_multiple_of(20 * BLOCK))
}

/// The entry of a file in an archive (ustar).
fn header(name: &str, length: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    // Eleven octal digits are 8 GiB; beyond that GNU's and POSIX's readers take the number itself.
    if length < 1 << 33 {
        put(124, format!("{length:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &length.to_be_bytes());
    }
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    put(136, format!("{seconds:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    if let Some(place) = header.get_mut(148..156) {
        place.copy_from_slice(sum.as_bytes());
    }
    header
}

fn describe(machine: &Export, disks: &[Packed]) -> String {
    use std::fmt::Write;
    let name = quick_xml::escape::escape(&machine.name);
    let system = machine.operating_system.as_deref().unwrap_or("Other");
    let system = quick_xml::escape::escape(system);
    let (mut files, mut list, mut items) = (String::new(), String::new(), String::new());
    for (number, disk) in disks.iter().enumerate() {
        let id = number + 1;
        let Packed {
            name,
            length,
            capacity,
        } = disk;
        // Writing to a string does not fail.
        let _ = writeln!(
            files,
            "    <File ovf:id=\"file{id}\" ovf:href=\"{name}\" ovf:size=\"{length}\"/>"
        );
        let _ = writeln!(
            list,
            "    <Disk ovf:diskId=\"disk{id}\" ovf:fileRef=\"file{id}\" ovf:capacity=\"{capacity}\" ovf:capacityAllocationUnits=\"byte\" ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>"
        );
        // IDE has room for four; SATA, which not all know, for any number.
        let sata = disks.len() > 4;
        let (controller, place) = match sata {
            true => (3, number),
            false => (3 + number / 2, number % 2),
        };
        if sata && number == 0 {
            let _ = writeln!(
                items,
                "      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>SATA 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>"
            );
        } else if !sata && place == 0 {
            let _ = writeln!(
                items,
                "      <Item><rasd:Address>{}</rasd:Address><rasd:ElementName>IDE {}</rasd:ElementName><rasd:InstanceID>{controller}</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType></Item>",
                number / 2,
                number / 2
            );
        }
        let _ = writeln!(
            items,
            "      <Item><rasd:AddressOnParent>{place}</rasd:AddressOnParent><rasd:ElementName>Disk {id}</rasd:ElementName><rasd:HostResource>ovf:/disk/disk{id}</rasd:HostResource><rasd:InstanceID>{}</rasd:InstanceID><rasd:Parent>{controller}</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>",
            100 + id
        );
    }
    let mut network = "";
    for card in 1..=machine.networks {
        network = "  <NetworkSection>\n    <Info>Networks</Info>\n    <Network ovf:name=\"NAT\"><Description>This computer's network</Description></Network>\n  </NetworkSection>\n";
        let _ = writeln!(
            items,
            "      <Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection><rasd:ElementName>Network card {card}</rasd:ElementName><rasd:InstanceID>{}</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>",
            1000 + card
        );
    }
    let firmware = if machine.uefi {
        "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n"
    } else {
        ""
    };
    let (processors, memory) = (machine.processors, machine.memory >> 20);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
{files}  </References>
  <DiskSection>
    <Info>Disks</Info>
{list}  </DiskSection>
{network}  <VirtualSystem ovf:id="{name}">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="1">
      <Info>The operating system</Info>
      <Description>{system}</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System><vssd:ElementName>Virtual hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-07</vssd:VirtualSystemType></System>
      <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>Processors</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>{processors}</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>Memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity></Item>
{items}{firmware}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}
