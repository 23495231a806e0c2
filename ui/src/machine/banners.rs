//! The banners of a machine that stands still, over its page and in its own window: why it is paused, and how much room there is
//! for its disk while that is what it waits for. Their buttons do what the actions of the group "machine" do.

use std::path::PathBuf;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::space;
use crate::model::State;
use crate::text::{self, gettext, gettext_with};

/// The banners.
pub struct Banners {
    bars: gtk::Box,
    paused: adw::Banner,
    room: adw::Banner,
    /// The machine's folder.
    folder: PathBuf,
    watch: Option<space::Watch>,
}

impl Banners {
    /// Those of the machine in `folder`, which is in `state`.
    pub fn new(folder: PathBuf, state: &State) -> Self {
        let banner = |label: &str, action: &str| {
            adw::Banner::builder()
                .button_label(label)
                .action_name(action)
                .build()
        };
        let paused = banner(&gettext("Resume"), "machine.start");
        let room = banner(&gettext("Free Space…"), "machine.free-space");
        let bars = gtk::Box::new(gtk::Orientation::Vertical, 0);
        bars.append(&paused);
        bars.append(&room);
        let mut this = Self {
            bars,
            paused,
            room,
            folder,
            watch: None,
        };
        this.follow(state);
        this
    }

    /// Both, one above the other.
    pub fn widget(&self) -> &gtk::Box {
        &self.bars
    }

    /// Shows what there is to say while the machine is in `state`.
    pub fn follow(&mut self, state: &State) {
        self.paused.set_title(&text::standing(state));
        self.paused
            .set_revealed(matches!(state, State::Paused { .. }));
        let wanted = space::wanted_by(state, &self.folder);
        self.room.set_title("");
        self.room.set_revealed(wanted.is_some());
        self.watch = wanted.map(|file| {
            let room = self.room.clone();
            space::Watch::new(&file, move |bytes| {
                let size = text::bytes(bytes);
                room.set_title(&gettext_with(
                    "Free where its disk is: {size}",
                    &[("size", &size)],
                ));
            })
        });
    }
}
