//! The description of a machine in an OVA (DMTF's Open Virtualization Format, DSP0243): what of it Guesthouse's machines have.

use quick_xml::escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// What a machine's hardware items are by number (CIM_ResourceAllocationSettingData.ResourceType).
const PROCESSOR: &str = "3";
const MEMORY: &str = "4";
const DISK: &str = "17";
const NETWORK: &str = "10";

/// A machine's description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) name: Option<String>,
    pub(super) operating_system: Option<String>,
    pub(super) processors: Option<u32>,
    /// Bytes.
    pub(super) memory: Option<u64>,
    pub(super) uefi: bool,
    /// Network cards.
    pub(super) networks: usize,
    /// Machines in the file.
    pub(super) systems: u32,
    /// ID, name, compression.
    pub(super) files: Vec<(String, String, Option<String>)>,
    /// ID, ID of the file, bytes.
    pub(super) disks: Vec<(String, Option<String>, Option<u64>)>,
    /// IDs of the disks in the order in which they are attached.
    pub(super) attached: Vec<String>,
}

/// An attribute by its name, whatever its name space is called.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    start.attributes().flatten().find_map(|attribute| {
        let key: &str = attribute.key.as_ref();
        let local = key.rsplit(':').next().unwrap_or(key);
        (local == name)
            .then(|| {
                escape::unescape(&attribute.value)
                    .ok()
                    .map(std::borrow::Cow::into_owned)
            })
            .flatten()
    })
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// How many bytes a unit such as "byte * 2^20" or "MegaBytes" is.
pub(super) fn unit(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "" | "byte" | "bytes" => return Some(1),
        "kilobytes" | "kb" => return Some(1 << 10),
        "megabytes" | "mb" => return Some(1 << 20),
        "gigabytes" | "gb" => return Some(1 << 30),
        _ => {}
    }
    let (_, factor) = text.split_once('*')?;
    let (base, exponent) = factor.split_once('^')?;
    let base: u64 = base.trim().parse().ok()?;
    base.checked_pow(exponent.trim().parse().ok()?)
}

/// An item of the virtual hardware, while it is read.
#[derive(Default)]
struct Item {
    kind: String,
    quantity: String,
    units: String,
    host: String,
}

/// Reads a description; an error is in words.
pub(super) fn parse(text: &str) -> Result<Description, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut description = Description::default();
    let mut path: Vec<String> = Vec::new();
    let mut item: Option<Item> = None;
    let mut content = String::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                let name = local(start.name().as_ref()).to_owned();
                content.clear();
                description.begin(&name, &start);
                if matches!(name.as_str(), "Item" | "StorageItem") {
                    item = Some(Item::default());
                }
                path.push(name);
                if path.len() > 64 {
                    return Err("its elements are nested too deeply".to_owned());
                }
            }
            Event::Text(part) => content.push_str(&part),
            Event::CData(part) => content.push_str(&part),
            Event::GeneralRef(reference) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    content.push(character);
                } else if let Some(entity) = escape::resolve_xml_entity(&reference) {
                    content.push_str(entity);
                }
            }
            Event::End(_) => {
                let Some(name) = path.pop() else { continue };
                let parent = path.last().map_or("", String::as_str);
                description.end(&name, parent, content.trim(), &mut item);
                content.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if description.systems == 0 {
        return Err("it describes no machine".to_owned());
    }
    Ok(description)
}

impl Description {
    fn begin(&mut self, name: &str, start: &BytesStart<'_>) {
        match name {
            "VirtualSystem" => {
                self.systems += 1;
                self.name = self.name.take().or_else(|| attribute(start, "id"));
            }
            "File" => self.files.push((
                attribute(start, "id").unwrap_or_default(),
                attribute(start, "href").unwrap_or_default(),
                attribute(start, "compression")
                    .filter(|kind| kind != "identity" && !kind.is_empty()),
            )),
            "Disk" => {
                let unit = attribute(start, "capacityAllocationUnits");
                let capacity = attribute(start, "capacity")
                    .and_then(|text| text.trim().parse::<u64>().ok())
                    .and_then(|count| {
                        count.checked_mul(unit.map_or(Some(1), |text| self::unit(&text))?)
                    });
                self.disks.push((
                    attribute(start, "diskId").unwrap_or_default(),
                    attribute(start, "fileRef"),
                    capacity,
                ));
            }
            "Config" if attribute(start, "key").as_deref() == Some("firmware") => {
                self.uefi = attribute(start, "value").as_deref() == Some("efi");
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str, parent: &str, content: &str, item: &mut Option<Item>) {
        match (name, parent) {
            ("Name", "VirtualSystem") if !content.is_empty() => {
                self.name = Some(content.to_owned())
            }
            ("Description", "OperatingSystemSection") if !content.is_empty() => {
                self.operating_system = Some(content.to_owned());
            }
            ("Item" | "StorageItem", _) => {
                if let Some(item) = item.take() {
                    self.take(&item);
                }
            }
            (_, "Item" | "StorageItem") => {
                let Some(item) = item else { return };
                let place = match name {
                    "ResourceType" => &mut item.kind,
                    "VirtualQuantity" => &mut item.quantity,
                    "AllocationUnits" => &mut item.units,
                    "HostResource" => &mut item.host,
                    _ => return,
                };
                content.clone_into(place);
            }
            _ => {}
        }
    }

    fn take(&mut self, item: &Item) {
        match item.kind.as_str() {
            PROCESSOR => self.processors = self.processors.or(item.quantity.parse().ok()),
            MEMORY => {
                // Without a unit the quantity is in megabytes, by all who leave it out.
                let unit = if item.units.is_empty() {
                    Some(1 << 20)
                } else {
                    unit(&item.units)
                };
                let count: Option<u64> = item.quantity.parse().ok();
                self.memory = self
                    .memory
                    .or_else(|| count.and_then(|count| count.checked_mul(unit?)));
            }
            NETWORK => self.networks += 1,
            DISK => {
                if let Some(id) = item.host.rsplit('/').next().filter(|id| !id.is_empty()) {
                    self.attached.push(id.to_owned());
                }
            }
            _ => {}
        }
    }
}
