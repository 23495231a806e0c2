//! Reads one file of osinfo-db: XML with `os` elements (schema: osinfo-db's schema/osinfo.rng).

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use quick_xml::{Error, escape};

use super::Resources;

/// What one file says of one operating system; several files may speak of the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) short_id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) vendor: String,
    pub(super) family: String,
    pub(super) distribution: String,
    pub(super) released: Option<String>,
    /// Not released yet, or for ever in motion.
    pub(super) unsettled: bool,
    pub(super) derives_from: Option<String>,
    pub(super) resources: Vec<ForArchitecture<Needs>>,
    pub(super) firmware: Vec<ForArchitecture<FirmwareSupport>>,
    pub(super) devices: Vec<DeviceSupport>,
    pub(super) media: Vec<ForArchitecture<Media>>,
}

/// Something said of one architecture, or of `all`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ForArchitecture<T> {
    pub(super) architecture: String,
    pub(super) value: T,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) minimum: Resources,
    pub(super) recommended: Resources,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FirmwareSupport {
    /// `bios` or `efi`.
    pub(super) kind: String,
    pub(super) supported: bool,
}

/// Whether the system has a driver for a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DeviceSupport {
    /// As osinfo-db identifies it: `http://pcisig.com/pci/1af4/1042`.
    pub(super) id: String,
    pub(super) supported: bool,
}

/// How a disc is recognised: regular expressions for its own words, and its exact size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) live: bool,
    pub(super) volume: Option<String>,
    pub(super) system: Option<String>,
    pub(super) publisher: Option<String>,
    pub(super) application: Option<String>,
    pub(super) size: Option<u64>,
}

/// The operating systems that `text` speaks of.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Error> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut entries = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) if is(&start, "os") => entries.push(entry(&mut reader, &start)?),
            Event::Start(start) if !is(&start, "libosinfo") => {
                reader.read_to_end(start.name())?;
            }
            Event::Eof => return Ok(entries),
            _ => {}
        }
    }
}

fn is(start: &BytesStart<'_>, name: &str) -> bool {
    start.name().as_ref() == name
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    let value = escape::unescape(&attribute.value).ok()?;
    Some(value.into_owned())
}

/// The children of the element that `reader` is in, one after another; `take` must read each to its end.
fn children<'a>(
    reader: &mut Reader<&'a [u8]>,
    mut take: impl FnMut(&mut Reader<&'a [u8]>, &BytesStart<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        match reader.read_event()? {
            Event::Start(start) => take(reader, &start)?,
            Event::End(_) | Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The text in the element that `reader` is in.
fn text(reader: &mut Reader<&[u8]>) -> Result<String, Error> {
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Text(part) => text.push_str(&part),
            Event::CData(part) => text.push_str(&part),
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref()? {
                    text.push(character);
                } else if let Some(entity) = escape::resolve_xml_entity(&reference) {
                    text.push_str(entity);
                }
            }
            Event::Start(start) => {
                reader.read_to_end(start.name())?;
            }
            Event::End(_) | Event::Eof => return Ok(text.trim().to_owned()),
            _ => {}
        }
    }
}

/// Keeps the text of an element if it is the first of its kind.
fn keep(reader: &mut Reader<&[u8]>, place: &mut String) -> Result<(), Error> {
    let text = text(reader)?;
    if place.is_empty() {
        *place = text;
    }
    Ok(())
}

fn entry<'a>(reader: &mut Reader<&'a [u8]>, start: &BytesStart<'a>) -> Result<Entry, Error> {
    let mut entry = Entry {
        id: attribute(start, "id").unwrap_or_default(),
        ..Entry::default()
    };
    children(reader, |reader, start| {
        let translated = start.attributes_raw().contains("xml:lang");
        match start.name().as_ref() {
            _ if translated => {
                reader.read_to_end(start.name())?;
            }
            "short-id" => keep(reader, &mut entry.short_id)?,
            "name" => keep(reader, &mut entry.name)?,
            "version" => keep(reader, &mut entry.version)?,
            "vendor" => keep(reader, &mut entry.vendor)?,
            "family" => keep(reader, &mut entry.family)?,
            "distro" => keep(reader, &mut entry.distribution)?,
            "release-date" => entry.released = Some(text(reader)?),
            "release-status" => entry.unsettled = text(reader)? != "released",
            "derives-from" | "clones" => {
                entry.derives_from = entry.derives_from.take().or(attribute(start, "id"));
                reader.read_to_end(start.name())?;
            }
            "resources" => {
                let value = needs(reader)?;
                entry.resources.push(for_architecture(start, value));
            }
            "firmware" => {
                let support = FirmwareSupport {
                    kind: attribute(start, "type").unwrap_or_default(),
                    supported: attribute(start, "supported").as_deref() != Some("false"),
                };
                entry.firmware.push(for_architecture(start, support));
                reader.read_to_end(start.name())?;
            }
            "devices" => children(reader, |reader, start| {
                if is(start, "device")
                    && let Some(id) = attribute(start, "id")
                {
                    entry.devices.push(DeviceSupport {
                        id,
                        supported: attribute(start, "supported").as_deref() != Some("false"),
                    });
                }
                reader.read_to_end(start.name())?;
                Ok(())
            })?,
            "media" => {
                let live = attribute(start, "live").as_deref() == Some("true");
                if let Some(media) = media(reader, live)? {
                    entry.media.push(for_architecture(start, media));
                }
            }
            _ => {
                reader.read_to_end(start.name())?;
            }
        }
        Ok(())
    })?;
    Ok(entry)
}

fn for_architecture<T>(start: &BytesStart<'_>, value: T) -> ForArchitecture<T> {
    ForArchitecture {
        architecture: attribute(start, "arch").unwrap_or_default(),
        value,
    }
}

fn needs(reader: &mut Reader<&[u8]>) -> Result<Needs, Error> {
    let mut needs = Needs::default();
    children(reader, |reader, start| {
        match start.name().as_ref() {
            "minimum" => needs.minimum = resources(reader)?,
            "recommended" => needs.recommended = resources(reader)?,
            _ => {
                reader.read_to_end(start.name())?;
            }
        }
        Ok(())
    })?;
    Ok(needs)
}

fn resources(reader: &mut Reader<&[u8]>) -> Result<Resources, Error> {
    let mut resources = Resources::default();
    children(reader, |reader, start| {
        match start.name().as_ref() {
            "ram" => resources.memory = text(reader)?.parse().ok(),
            "n-cpus" => resources.processors = text(reader)?.parse().ok(),
            "storage" => resources.storage = text(reader)?.parse().ok(),
            _ => {
                reader.read_to_end(start.name())?;
            }
        }
        Ok(())
    })?;
    Ok(resources)
}

/// How a disc is recognised, if it says anything of that.
fn media(reader: &mut Reader<&[u8]>, live: bool) -> Result<Option<Media>, Error> {
    let mut media = Media {
        live,
        ..Media::default()
    };
    let unsaid = media.clone();
    children(reader, |reader, start| {
        if !is(start, "iso") {
            reader.read_to_end(start.name())?;
            return Ok(());
        }
        children(reader, |reader, start| {
            match start.name().as_ref() {
                "volume-id" => media.volume = Some(text(reader)?),
                "system-id" => media.system = Some(text(reader)?),
                "publisher-id" => media.publisher = Some(text(reader)?),
                "application-id" => media.application = Some(text(reader)?),
                "volume-size" => media.size = text(reader)?.parse().ok(),
                _ => {
                    reader.read_to_end(start.name())?;
                }
            }
            Ok(())
        })
    })?;
    Ok((media != unsaid).then_some(media))
}
