//! A drive's row in the Hardware view. As long as it would be made of the same, it stays, and what is open in it or has the focus.

use std::path::PathBuf;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::disk_tools::Tool;
use super::drives::{Drives, DrivesInput};
use crate::machine::drives::{drive_image, eject_button};
use crate::model::images::Facts;
use crate::model::{Drive, ImageFormat};
use crate::paths;
use crate::text::{self, gettext, gettext_with};

/// All that decides what is in a drive's row, but for what its image is and whether the guest may write to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What it is called.
    pub title: String,
    /// The drive, whether the guest may write to it or not.
    pub drive: Drive,
    /// Its number among the optical drives, and what is in it.
    pub optical: Option<(usize, Option<PathBuf>)>,
    /// What can be done with its image.
    pub tools: Vec<Tool>,
    /// Whether the machine is alive.
    pub alive: bool,
}

/// The row, and what it was made of.
pub struct Row {
    /// It.
    pub widget: adw::ExpanderRow,
    /// What it was made of.
    pub made_of: Made,
    read_only: Option<adw::SwitchRow>,
    tools: Vec<(Tool, adw::ButtonRow)>,
}

impl Row {
    /// The row of drive number `number`.
    pub fn new(number: usize, made_of: Made, sender: &ComponentSender<Drives>) -> Self {
        match made_of.optical.clone() {
            None => Self::disk(number, made_of, sender),
            Some((optical, medium)) => Self::optical(number, optical, medium, made_of, sender),
        }
    }

    /// Shows whether the guest may write to `drive`, and what else follows from that.
    pub fn show(&self, drive: &Drive) {
        if let Some(switch) = &self.read_only {
            switch.set_active(drive.read_only);
        }
        for (tool, button) in &self.tools {
            button.set_sensitive(!self.made_of.alive && tool.suits(drive));
        }
    }

    fn disk(number: usize, made_of: Made, sender: &ComponentSender<Drives>) -> Self {
        let Made { drive, title, .. } = &made_of;
        let row = expander(title, &describe(drive, None), "drive-harddisk-symbolic");
        let switch = adw::SwitchRow::builder()
            .title(gettext("Read-Only"))
            .subtitle(gettext("The guest cannot write to it"))
            .sensitive(!made_of.alive)
            .build();
        let input = sender.input_sender().clone();
        switch.connect_active_notify(move |row| {
            let _ = input.send(DrivesInput::ReadOnly(number, row.is_active()));
        });
        row.add_row(&switch);
        let mut tools = Vec::new();
        let offered = |tool: &Tool| made_of.tools.contains(tool);
        for (tool, label) in Tool::ALL.into_iter().filter(|(tool, _)| offered(tool)) {
            let input = sender.input_sender().clone();
            let button = button_row(&gettext(label), false, move || {
                let _ = input.send(DrivesInput::Use(number, tool));
            });
            row.add_row(&button);
            tools.push((tool, button));
        }
        row.add_row(&remove(number, made_of.alive, sender));
        Self {
            widget: row,
            made_of,
            read_only: Some(switch),
            tools,
        }
    }

    fn optical(
        number: usize,
        optical: usize,
        medium: Option<PathBuf>,
        made_of: Made,
        sender: &ComponentSender<Drives>,
    ) -> Self {
        let subtitle = medium
            .as_ref()
            .map_or_else(|| gettext("Empty"), |file| paths::line(file));
        let title = &made_of.title;
        let row = expander(title, &subtitle, "media-optical-symbolic");
        let eject = eject_button(title, medium.is_some());
        let input = sender.input_sender().clone();
        eject.connect_clicked(move |_| drop(input.send(DrivesInput::Eject(optical))));
        row.add_suffix(&eject);
        let label = if medium.is_some() {
            gettext("Change Disc…")
        } else {
            gettext("Insert Disc…")
        };
        let input = sender.input_sender().clone();
        row.add_row(&button_row(&label, true, move || {
            let _ = input.send(DrivesInput::Change(optical));
        }));
        row.add_row(&remove(number, made_of.alive, sender));
        Self {
            widget: row,
            made_of,
            read_only: None,
            tools: Vec::new(),
        }
    }
}

fn expander(title: &str, subtitle: &str, icon: &str) -> adw::ExpanderRow {
    let row = adw::ExpanderRow::builder()
        .title(title)
        .subtitle(text::escape(subtitle))
        .subtitle_lines(3)
        .build();
    row.add_prefix(&drive_image(icon));
    row
}

fn remove(number: usize, alive: bool, sender: &ComponentSender<Drives>) -> adw::ButtonRow {
    let input = sender.input_sender().clone();
    let row = button_row(&gettext("Remove Drive"), !alive, move || {
        let _ = input.send(DrivesInput::Remove(number));
    });
    row.add_css_class("destructive-action");
    row
}

/// A row that does something when it is pressed.
fn button_row(label: &str, able: bool, press: impl Fn() + 'static) -> adw::ButtonRow {
    let row = adw::ButtonRow::builder()
        .title(label)
        .sensitive(able)
        .build();
    row.connect_activated(move |_| press());
    row
}

/// What is known of a hard disk's image.
pub fn describe(drive: &Drive, facts: Option<&Result<Facts, String>>) -> String {
    let file = drive
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(gettext("No image")));
    let format = match drive.format {
        ImageFormat::Raw => "raw",
        ImageFormat::Qcow2 => "qcow2",
    };
    let mut text = format!("{} · {format}", paths::line(&file));
    match facts {
        Some(Ok(facts)) => {
            let (size, used) = (text::bytes(facts.size), text::bytes(facts.used));
            let room = gettext_with("{size}, {used} used", &[("size", &size), ("used", &used)]);
            text.push_str(&format!(" · {room}"));
            if let Some(base) = &facts.base {
                let base = gettext_with("Holds what differs from {file}", &[("file", base)]);
                text.push_str(&format!("\n{base}"));
            }
        }
        Some(Err(problem)) => text.push_str(&format!("\n{problem}")),
        None => {}
    }
    text
}
