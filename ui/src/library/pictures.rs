//! The screens in the list's rows: of machines that run as they are now, of the others as they were last.
//!
//! Only rows in sight have pictures, and only screens that changed are looked at again, every two seconds while a machine runs
//! and the list is seen. Pictures are made by workers.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use relm4::gtk::{self, gdk, glib, prelude::*};

use super::item::{Item, MachineObject};
use crate::model::{Machines, Surface, reduced};

const AGAIN: Duration = Duration::from_secs(2);

/// Gives the rows in sight their pictures.
pub struct Pictures {
    machines: Arc<Machines>,
    sight: RefCell<Vec<MachineObject>>,
    timer: RefCell<Option<glib::SourceId>>,
    list: glib::WeakRef<gtk::ListView>,
}

impl Pictures {
    /// For the rows of `list`.
    pub fn new(machines: Arc<Machines>, list: &gtk::ListView) -> Rc<Self> {
        let pictures = Rc::new(Self {
            machines,
            sight: RefCell::default(),
            timer: RefCell::default(),
            list: list.downgrade(),
        });
        let weak = Rc::downgrade(&pictures);
        list.connect_map(move |_| {
            if let Some(pictures) = weak.upgrade() {
                pictures.follow();
            }
        });
        pictures
    }

    /// `object` came into sight.
    pub fn seen(self: &Rc<Self>, object: &MachineObject) {
        self.sight.borrow_mut().push(object.clone());
        self.look(object);
        self.follow();
    }

    /// `object` went out of sight.
    pub fn unseen(&self, object: &MachineObject) {
        self.sight.borrow_mut().retain(|seen| seen != object);
        object.forget_picture();
    }

    /// A machine changed: it may be off by now, or run.
    pub fn changed(self: &Rc<Self>, object: &MachineObject) {
        if self.sight.borrow().contains(object) {
            self.look(object);
            self.follow();
        }
    }

    /// Looks again later as long as there is something to see.
    fn follow(self: &Rc<Self>) {
        if self.timer.borrow().is_some() || !self.is_wanted() {
            return;
        }
        let weak = Rc::downgrade(self);
        let timer = glib::timeout_add_local(AGAIN, move || {
            let Some(pictures) = weak.upgrade() else {
                return glib::ControlFlow::Break;
            };
            if pictures.is_wanted() {
                let seen = pictures.sight.borrow().clone();
                seen.iter().for_each(|object| pictures.look(object));
                return glib::ControlFlow::Continue;
            }
            pictures.timer.take();
            glib::ControlFlow::Break
        });
        self.timer.replace(Some(timer));
    }

    fn is_wanted(&self) -> bool {
        let mapped = self.list.upgrade().is_some_and(|list| list.is_mapped());
        mapped
            && self
                .sight
                .borrow()
                .iter()
                .any(|object| object.with(Item::is_alive))
    }

    /// Has a worker make the object's picture, if it has changed.
    fn look(self: &Rc<Self>, object: &MachineObject) {
        let folder = object.with(|item| item.folder.clone());
        let machine = self.machines.handle(&folder);
        let machine = machine.filter(|machine| machine.state().is_alive());
        let (change, source) = match machine {
            Some(machine) => {
                let surface = Arc::clone(machine.surface());
                let change = surface.view().sequence();
                (change, Source::Alive(surface))
            }
            None if object.with(Item::is_alive) => return,
            None => (0, Source::Kept(self.machines.last_screen(&folder))),
        };
        if object.shown() == Some(change) {
            return;
        }
        let (pictures, object) = (Rc::clone(self), object.clone());
        relm4::spawn_local(async move {
            match relm4::spawn_blocking(move || source.picture()).await {
                // It may have gone out of sight meanwhile.
                Ok(picture) if pictures.sight.borrow().contains(&object) => {
                    object.set_picture(picture, change);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a machine's picture was not made"),
            }
        });
    }
}

/// Where a picture comes from.
enum Source {
    Alive(Arc<Surface>),
    Kept(PathBuf),
}

impl Source {
    fn picture(self) -> Option<gdk::Texture> {
        match self {
            Self::Alive(surface) => {
                let small = reduced(&surface)?;
                let stride = usize::try_from(small.width).ok()? * 3;
                let texture = gdk::MemoryTexture::new(
                    small.width.try_into().ok()?,
                    small.height.try_into().ok()?,
                    gdk::MemoryFormat::R8g8b8,
                    &glib::Bytes::from_owned(small.samples),
                    stride,
                );
                Some(texture.upcast())
            }
            Self::Kept(file) => {
                if !file.exists() {
                    return None;
                }
                let texture = gdk::Texture::from_filename(&file);
                texture
                    .map_err(|error| tracing::debug!(file = %file.display(), %error, "a screen was not read"))
                    .ok()
            }
        }
    }
}
