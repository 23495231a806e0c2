//! The screens in the list's rows: of machines that run as they are now, of the others as they were last.
//!
//! Only rows in sight have pictures, and only screens that changed are looked at again, every two seconds while a machine runs
//! and the list is seen. Screens of machines that other processes run are asked for, less often. Pictures are made by workers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relm4::gtk::{self, gdk, glib, prelude::*};

use super::item::{Item, MachineObject};
use crate::model::{Holder, Machines, Surface, reduced};

const AGAIN: Duration = Duration::from_secs(2);
/// A screen of another process comes whole, as a picture that is packed and unpacked.
const ELSEWHERE_AGAIN: Duration = Duration::from_secs(6);

/// Gives the rows in sight their pictures.
pub struct Pictures {
    machines: Arc<Machines>,
    sight: RefCell<Vec<MachineObject>>,
    /// When the screens of other processes' machines were asked for last.
    asked: RefCell<HashMap<PathBuf, Instant>>,
    timer: RefCell<Option<glib::SourceId>>,
    list: glib::WeakRef<gtk::ListView>,
}

impl Pictures {
    /// For the rows of `list`.
    pub fn new(machines: Arc<Machines>, list: &gtk::ListView) -> Rc<Self> {
        let pictures = Rc::new(Self {
            machines,
            sight: RefCell::default(),
            asked: RefCell::default(),
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
        let source = match machine {
            Some(machine) => Source::Alive(Arc::clone(machine.surface())),
            None if object.with(Item::is_alive) => {
                let elsewhere = self.machines.elsewhere(&folder);
                let Some(elsewhere) = elsewhere.filter(|_| self.may_ask(folder)) else {
                    return;
                };
                Source::Elsewhere(elsewhere.holder)
            }
            None => Source::Kept(self.machines.last_screen(&folder)),
        };
        let shown = object.shown();
        if shown.is_some() && source.change() == shown {
            return;
        }
        let (pictures, object) = (Rc::clone(self), object.clone());
        relm4::spawn_local(async move {
            match relm4::spawn_blocking(move || source.picture(shown)).await {
                // It may have gone out of sight meanwhile.
                Ok(Some((picture, change))) if pictures.sight.borrow().contains(&object) => {
                    object.set_picture(picture, change);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a machine's picture was not made"),
            }
        });
    }

    /// Whether it is time to ask another process for the screen of the machine in `folder`, which is then done.
    fn may_ask(&self, folder: PathBuf) -> bool {
        let (mut asked, now) = (self.asked.borrow_mut(), Instant::now());
        asked.retain(|_, last| now.duration_since(*last) < ELSEWHERE_AGAIN);
        if asked.contains_key(&folder) {
            return false;
        }
        asked.insert(folder, now);
        true
    }
}

/// Where a picture comes from.
enum Source {
    Alive(Arc<Surface>),
    Elsewhere(Arc<dyn Holder>),
    Kept(PathBuf),
}

impl Source {
    /// The number of what is seen there now, where that is known before it is looked at.
    fn change(&self) -> Option<u64> {
        match self {
            Self::Alive(surface) => Some(surface.view().sequence()),
            Self::Elsewhere(_) => None,
            Self::Kept(_) => Some(0),
        }
    }

    /// What is seen there and its number; nothing where that is `shown` already or is not to be had.
    fn picture(self, shown: Option<u64>) -> Option<(Option<gdk::Texture>, u64)> {
        let change = self.change();
        match self {
            Self::Alive(surface) => Some((small(&surface), change?)),
            Self::Elsewhere(holder) => {
                let picture = holder.screenshot();
                let picture = picture
                    .map_err(|error| tracing::debug!(%error, "another process gave no picture"))
                    .ok()?;
                let mut hasher = DefaultHasher::new();
                picture.hash(&mut hasher);
                let change = hasher.finish();
                (Some(change) != shown).then(|| (unpacked(picture), change))
            }
            Self::Kept(file) => Some((kept(&file), change?)),
        }
    }
}

/// What is on `surface`, as small as it is shown.
fn small(surface: &Surface) -> Option<gdk::Texture> {
    let small = reduced(surface)?;
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

/// The PNG `picture`, as small as it is shown.
fn unpacked(picture: Vec<u8>) -> Option<gdk::Texture> {
    let texture = gdk::Texture::from_bytes(&glib::Bytes::from_owned(picture));
    let texture = texture
        .map_err(|error| tracing::debug!(%error, "another process's picture was not read"))
        .ok()?;
    let width = u32::try_from(texture.width()).ok()?;
    let height = u32::try_from(texture.height()).ok()?;
    let mut downloader = gdk::TextureDownloader::new(&texture);
    downloader.set_format(gdk::MemoryFormat::B8g8r8x8);
    let (bytes, stride) = downloader.download_bytes();
    let surface = Surface::new(width, height);
    surface.draw(|frame| {
        for (y, row) in (0..height).zip(bytes.chunks(stride)) {
            let (pixels, _) = row.as_chunks::<4>();
            let line: Vec<u32> = pixels
                .iter()
                .take(texture.width().unsigned_abs() as usize)
                .map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff)
                .collect();
            frame.draw_row(0, y, &line);
        }
    });
    small(&surface)
}

/// The picture in `file`.
fn kept(file: &Path) -> Option<gdk::Texture> {
    if !file.exists() {
        return None;
    }
    let texture = gdk::Texture::from_filename(file);
    texture
        .map_err(|error| tracing::debug!(file = %file.display(), %error, "a screen was not read"))
        .ok()
}
