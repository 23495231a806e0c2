//! The widget that draws the guest's picture.

use relm4::gtk::{
    AccessibleTextContentChange, gdk, glib, graphene, gsk, prelude::*, subclass::prelude::*,
};

use super::geometry::{Filter, Placement, Room, Scaling, filling, place, units};
use super::picture::Picture;
use super::reading::Reading;

mod imp {
    use std::cell::{Cell, OnceCell, RefCell};

    use relm4::gtk::{self, gdk, glib, graphene, prelude::*, subclass::prelude::*};

    use super::super::geometry::Scaling;
    use super::super::picture::Picture;
    use super::super::reading::Reading;
    use super::super::texture::Textures;
    use crate::text::gettext;

    #[derive(Default)]
    pub struct Screen {
        pub picture: RefCell<Option<Picture>>,
        pub textures: RefCell<Textures>,
        pub texture: RefCell<Option<gdk::Texture>>,
        pub scaling: Cell<Scaling>,
        /// Called when a picture was drawn for which the session waits.
        pub drawn: OnceCell<Box<dyn Fn()>>,
        /// Called when it has another size.
        pub allocated: OnceCell<Box<dyn Fn()>>,
        /// What is written on it, for those who do not see it.
        pub reading: RefCell<Reading>,
        pub scale_changed: RefCell<Option<(gdk::Surface, glib::SignalHandlerId)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Screen {
        const NAME: &'static str = "GuesthouseScreen";
        type Type = super::Screen;
        type ParentType = gtk::Widget;
        type Interfaces = (gtk::AccessibleText,);

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("guest-screen");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for Screen {
        fn constructed(&self) {
            self.parent_constructed();
            let screen = self.obj();
            screen.set_focusable(true);
            screen.set_hexpand(true);
            screen.set_vexpand(true);
            let label = gettext("Guest screen");
            screen.update_property(&[gtk::accessible::Property::Label(&label)]);
        }
    }

    impl WidgetImpl for Screen {
        fn realize(&self) {
            self.parent_realize();
            let screen = self.obj();
            if let Some(surface) = screen.native().and_then(|native| native.surface()) {
                let weak = screen.downgrade();
                let handler = surface.connect_scale_notify(move |_| {
                    if let Some(screen) = weak.upgrade() {
                        screen.queue_resize();
                    }
                });
                self.scale_changed.replace(Some((surface, handler)));
            }
        }

        fn unrealize(&self) {
            if let Some((surface, handler)) = self.scale_changed.take() {
                surface.disconnect(handler);
            }
            self.parent_unrealize();
        }

        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let needed = self.obj().needed(orientation);
            let minimum = match self.scaling.get() {
                Scaling::Fit => 1.min(needed),
                Scaling::Percent(_) => needed,
            };
            (minimum, needed, -1, -1)
        }

        fn size_allocate(&self, width: i32, height: i32, baseline: i32) {
            self.parent_size_allocate(width, height, baseline);
            if let Some(allocated) = self.allocated.get() {
                allocated();
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            self.obj().draw(snapshot);
        }
    }

    impl AccessibleTextImpl for Screen {
        fn attributes(
            &self,
            _: u32,
        ) -> Vec<(gtk::AccessibleTextRange, glib::GString, glib::GString)> {
            Vec::new()
        }

        fn caret_position(&self) -> u32 {
            self.reading.borrow().caret()
        }

        fn contents(&self, start: u32, end: u32) -> Option<glib::Bytes> {
            Some(bytes(self.reading.borrow().part(start, end)))
        }

        fn contents_at(
            &self,
            offset: u32,
            granularity: gtk::AccessibleTextGranularity,
        ) -> Option<(u32, u32, glib::Bytes)> {
            let reading = self.reading.borrow();
            let (start, end) = match granularity {
                gtk::AccessibleTextGranularity::Character => reading.character(offset),
                gtk::AccessibleTextGranularity::Word => reading.word(offset),
                _ => reading.line(offset),
            };
            Some((start, end, bytes(reading.part(start, end))))
        }

        fn default_attributes(&self) -> Vec<(glib::GString, glib::GString)> {
            Vec::new()
        }

        fn extents(&self, _: u32, _: u32) -> Option<graphene::Rect> {
            None
        }

        fn offset(&self, _: &graphene::Point) -> Option<u32> {
            None
        }

        fn selection(&self) -> Vec<gtk::AccessibleTextRange> {
            Vec::new()
        }
    }

    /// `text` as the toolkit takes it: it reads as far as the zero.
    fn bytes(text: String) -> glib::Bytes {
        let mut text = text.into_bytes();
        text.push(0);
        glib::Bytes::from_owned(text)
    }
}

glib::wrapper! {
    /// Shows a [`Picture`], on whole pixels of the screen.
    pub struct Screen(ObjectSubclass<imp::Screen>)
        @extends relm4::gtk::Widget,
        @implements relm4::gtk::Accessible, relm4::gtk::AccessibleText, relm4::gtk::Buildable, relm4::gtk::ConstraintTarget;
}

impl Default for Screen {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Screen {
    /// Calls `drawn` when a picture was drawn for which the session waits. To be called once.
    pub fn connect_drawn(&self, drawn: impl Fn() + 'static) {
        if self.imp().drawn.set(Box::new(drawn)).is_err() {
            tracing::error!("the screen's drawing is followed already");
        }
    }

    /// Calls `allocated` when this has another size, or may have. To be called once.
    pub fn connect_allocated(&self, allocated: impl Fn() + 'static) {
        if self.imp().allocated.set(Box::new(allocated)).is_err() {
            tracing::error!("the screen's size is followed already");
        }
    }

    /// How many pixels across and down the guest's screen would fill this with; none where the picture is not fitted to it.
    pub fn wanted_size(&self) -> Option<(u32, u32)> {
        if self.scaling() != Scaling::Fit || !self.is_mapped() {
            return None;
        }
        let size = (self.width().into(), self.height().into());
        Some(filling(size, self.pixels_per_unit()))
    }

    /// Shows another picture.
    pub fn set_picture(&self, picture: Picture) {
        self.imp().picture.replace(Some(picture));
        self.imp().textures.take();
        self.queue_resize();
    }

    /// Tells screen readers how the keyboard is released.
    pub fn describe(&self, way_out: &str) {
        self.update_property(&[relm4::gtk::accessible::Property::Description(way_out)]);
    }

    /// This is written on it now, row by row; without rows it shows a picture. Whoever listens is told what
    /// is new, which is given back in one line.
    pub fn set_text(&self, rows: &[String]) -> String {
        let now = Reading::new(rows);
        let change = self.imp().reading.borrow().change(&now);
        let Some(change) = change else {
            return String::new();
        };
        if change.removed > 0 {
            let end = change.start + change.removed;
            self.update_contents(AccessibleTextContentChange::Remove, change.start, end);
        }
        self.imp().reading.replace(now);
        if change.inserted > 0 {
            let end = change.start + change.inserted;
            self.imp().reading.borrow_mut().set_caret(end);
            self.update_contents(AccessibleTextContentChange::Insert, change.start, end);
        }
        self.update_caret_position();
        let end = change.start + change.inserted;
        let new = self.imp().reading.borrow().part(change.start, end);
        new.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Chooses how the picture is fitted.
    pub fn set_scaling(&self, scaling: Scaling) {
        self.imp().scaling.set(scaling);
        self.queue_resize();
    }

    /// How the picture is fitted.
    pub fn scaling(&self) -> Scaling {
        self.imp().scaling.get()
    }

    /// The size in which the picture is drawn, in percent of the guest's pixels.
    pub fn percent(&self) -> f64 {
        let (width, _) = self.guest_size();
        #[expect(clippy::cast_precision_loss, reason = "at most 8192")]
        let width = width as f64;
        self.placement().map_or(100.0, |placement| {
            placement.width * self.pixels_per_unit() / width * 100.0
        })
    }

    /// The picture as it is now, for a screenshot.
    pub fn texture(&self) -> Option<gdk::Texture> {
        self.refresh();
        self.imp().texture.borrow().clone()
    }

    /// Width and height of the guest's picture in its pixels.
    pub fn guest_size(&self) -> (usize, usize) {
        let picture = self.imp().picture.borrow();
        let size = picture
            .as_ref()
            .map(|picture| picture.surface().view().size());
        size.map_or((0, 0), |(width, height)| (width as usize, height as usize))
    }

    /// Pixels of the computer's screen per unit of the toolkit.
    pub fn pixels_per_unit(&self) -> f64 {
        let surface = self.native().and_then(|native| native.surface());
        surface.map_or_else(|| f64::from(self.scale_factor()), |surface| surface.scale())
    }

    /// The units in one direction that the picture needs.
    fn needed(&self, orientation: relm4::gtk::Orientation) -> i32 {
        let (width, height) = self.guest_size();
        let guest = match orientation {
            relm4::gtk::Orientation::Horizontal => width,
            _ => height,
        };
        units(self.imp().scaling.get(), guest, self.pixels_per_unit())
    }

    fn placement(&self) -> Option<Placement> {
        let origin = self.native().and_then(|native| {
            let point = self.compute_point(&native, &graphene::Point::zero())?;
            let (x, y) = native.surface_transform();
            Some((f64::from(point.x()) + x, f64::from(point.y()) + y))
        });
        let room = Room {
            size: (self.width().into(), self.height().into()),
            origin: origin.unwrap_or_default(),
            scale: self.pixels_per_unit(),
        };
        place(self.imp().scaling.get(), self.guest_size(), room)
    }

    /// Left, top, width and height of the picture within this widget.
    pub fn picture_place(&self) -> Option<(f64, f64, f64, f64)> {
        let place = self.placement()?;
        Some((place.x, place.y, place.width, place.height))
    }

    /// The guest's pixel at a place of this widget.
    pub fn pixel(&self, x: f64, y: f64) -> Option<(u16, u16)> {
        Some(self.placement()?.pixel((x, y), self.guest_size()))
    }

    /// Takes over what changed.
    fn refresh(&self) {
        let imp = self.imp();
        let picture = imp.picture.borrow();
        let Some(picture) = picture.as_ref() else {
            return;
        };
        // Taken before looking: what changes from now on is told again.
        let waiting = picture.take_news();
        let texture = imp.textures.borrow_mut().update(&picture.surface().view());
        imp.texture.replace(texture);
        if waiting && let Some(drawn) = imp.drawn.get() {
            drawn();
        }
    }

    fn draw(&self, snapshot: &relm4::gtk::Snapshot) {
        self.refresh();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a widget's size is far below"
        )]
        let rectangle = |x: f64, y: f64, width: f64, height: f64| {
            graphene::Rect::new(x as f32, y as f32, width as f32, height as f32)
        };
        let all = rectangle(0.0, 0.0, self.width().into(), self.height().into());
        snapshot.append_color(&gdk::RGBA::BLACK, &all);
        let texture = self.imp().texture.borrow();
        let (Some(texture), Some(placement)) = (texture.as_ref(), self.placement()) else {
            return;
        };
        let filter = match placement.filter {
            Filter::Nearest => gsk::ScalingFilter::Nearest,
            Filter::Linear => gsk::ScalingFilter::Linear,
            Filter::Trilinear => gsk::ScalingFilter::Trilinear,
        };
        let Placement {
            x,
            y,
            width,
            height,
            ..
        } = placement;
        snapshot.append_scaled_texture(texture, filter, &rectangle(x, y, width, height));
    }
}
