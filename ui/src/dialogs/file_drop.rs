//! Files that are dropped on a widget.

use std::path::PathBuf;

use relm4::gtk::{self, gdk, prelude::*};

/// Takes the first of the files that are dropped, if it is one of this computer.
pub fn target(take: impl Fn(PathBuf) + 'static) -> gtk::DropTarget {
    let target = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
    target.connect_drop(move |_, value, _, _| {
        let files = value.get::<gdk::FileList>().map(|list| list.files());
        let path = files.ok().and_then(|files| files.first()?.path());
        match path {
            Some(path) => take(path),
            None => return false,
        }
        true
    });
    target
}
