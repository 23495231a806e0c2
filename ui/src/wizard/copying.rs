//! The rows beneath a disk's image that was chosen: whether the machine gets a copy of it, and whether it may read the other files
//! that the image takes data from. The person is asked once, here.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use relm4::adw;
use relm4::adw::prelude::*;

use super::draft::{Choice, Draft};
use crate::model::media::{Found, Role};
use crate::text::{self, gettext};

/// The rows.
pub struct CopyRows {
    group: adw::PreferencesGroup,
    copy: adw::SwitchRow,
    agree: adw::SwitchRow,
    files: Rc<RefCell<Vec<PathBuf>>>,
}

impl CopyRows {
    /// The rows, which call `choose` with what a person chose.
    pub fn new(choose: impl Fn(Choice) + Clone + 'static) -> Self {
        let copy = adw::SwitchRow::builder()
            .title(gettext("Copy the Disk"))
            .subtitle(gettext(
                "The file stays as it is. Without a copy, the machine writes to it.",
            ))
            .active(true)
            .visible(false)
            .build();
        let chosen = choose.clone();
        copy.connect_active_notify(move |row| chosen(Choice::Copy(row.is_active())));
        let agree = adw::SwitchRow::builder()
            .title(gettext("Let the Machine Read Other Files"))
            .visible(false)
            .build();
        let files: Rc<RefCell<Vec<PathBuf>>> = Rc::default();
        let asked = files.clone();
        agree.connect_active_notify(move |row| {
            // Outside of the callback nothing holds them.
            let files = asked.borrow().clone();
            choose(Choice::Agree(files, row.is_active()));
        });
        // A list of its own: from a row that only says something, as those above do, the Tab key leaves its list.
        let group = adw::PreferencesGroup::builder().visible(false).build();
        group.add(&copy);
        group.add(&agree);
        Self {
            group,
            copy,
            agree,
            files,
        }
    }

    /// The rows, to be put beneath the file.
    pub fn group(&self) -> &adw::PreferencesGroup {
        &self.group
    }

    /// Shows what `draft` says about the image in which `found` was found.
    pub fn show(&self, draft: &Draft, found: Option<&Found>) {
        let own = |found: &&Found| matches!(found.role(), Role::RawDisk | Role::Qcow2Disk);
        self.copy.set_visible(found.filter(own).is_some());
        self.copy.set_active(draft.copy);
        let chain = found
            .map(|found| found.chain.as_slice())
            .unwrap_or_default();
        self.agree.set_visible(!chain.is_empty());
        if *self.files.borrow() != chain {
            let names: Vec<_> = chain.iter().map(|file| file.to_string_lossy()).collect();
            self.agree.set_subtitle(&text::escape(&names.join("\n")));
            *self.files.borrow_mut() = chain.to_vec();
        }
        self.group
            .set_visible(found.is_some_and(|found| own(&found) || !found.chain.is_empty()));
        if let Some(found) = found {
            self.agree
                .set_active(!chain.is_empty() && draft.may_read(found));
        }
    }
}
