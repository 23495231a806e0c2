//! The beginning of a snapshot's row, which shows what it comes after: lines as trees have them lead to what stands for the snapshot,
//! its picture or a sign, and those of rows beneath one another meet.

use relm4::gtk;
use relm4::gtk::glib;
use relm4::gtk::prelude::*;
use relm4::gtk::subclass::prelude::*;

/// The deepest of a tree's levels that has a place of its own. What is deeper stands there too, in one line.
const DEEPEST: usize = 10;
/// Pixels from a level to the next, as long as all of them together take no more than this: the other room is for names.
const STEP: usize = 24;
const ROOM: usize = 144;

/// The lines of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// For each level after the first, up to the row's own: whether a later row of that level comes after the same.
    later: Vec<bool>,
    /// Whether the next row comes after this one.
    followed: bool,
    /// Whether it stands straight beneath what it comes after.
    straight: bool,
    /// Pixels from a level to the next.
    step: usize,
}

/// Those of rows at these levels, counted from 0, each of which comes after the last one above it that is a level higher.
pub fn lines(levels: &[usize]) -> Vec<Lines> {
    let deepest = levels.iter().max().map_or(0, |level| *level.min(&DEEPEST));
    let step = (ROOM / deepest.max(1)).min(STEP);
    let mut later = [false; DEEPEST + 1];
    let mut next = 0;
    let from_below = levels.iter().rev().map(|level| {
        let lines = Lines {
            later: later[1..=*level.min(&DEEPEST)].to_vec(),
            followed: next > *level,
            straight: *level > DEEPEST,
            step,
        };
        if !lines.straight {
            later[*level] = true;
            later[level + 1..].fill(false);
        }
        next = *level;
        lines
    });
    let mut all: Vec<Lines> = from_below.collect();
    all.reverse();
    all
}

mod imp {
    use std::cell::{OnceCell, RefCell};

    use relm4::adw;
    use relm4::gtk::prelude::*;
    use relm4::gtk::subclass::prelude::*;
    use relm4::gtk::{self, glib, graphene, gsk};

    use super::Lines;

    /// From a level's left to its line, which goes through the middle of a sign.
    const MIDDLE: f32 = 8.0;
    /// Between a line and what it leads to.
    const GAP: f32 = 4.0;
    const RADIUS: f32 = 6.0;
    const WIDTH: f32 = 2.0;

    #[derive(Default)]
    pub struct Branch {
        pub lines: RefCell<Lines>,
        pub child: OnceCell<gtk::Widget>,
    }

    impl Branch {
        fn indent(&self) -> i32 {
            let lines = self.lines.borrow();
            i32::try_from(lines.later.len() * lines.step).unwrap_or(0)
        }

        /// The lines of a row from `start` to `end`, around a child from `top` to `bottom`.
        #[expect(clippy::cast_precision_loss, reason = "a few levels of a few pixels")]
        fn path(&self, (start, end): (f32, f32), (top, bottom): (f32, f32)) -> gsk::Path {
            let lines = self.lines.borrow();
            let place = |level: usize| (level * lines.step) as f32;
            let down = |path: &gsk::PathBuilder, x, from, to| {
                path.move_to(x, from);
                path.line_to(x, to);
            };
            let middle = f32::midpoint(top, bottom).floor();
            let path = gsk::PathBuilder::new();
            for (level, later) in lines.later.iter().enumerate() {
                if *later {
                    down(&path, place(level) + MIDDLE, start, end);
                }
            }
            let own = lines.later.len();
            let x = place(own) + MIDDLE;
            if lines.straight {
                down(&path, x, start, top - GAP);
            } else if let Some(before) = own.checked_sub(1) {
                let (x, child) = (place(before) + MIDDLE, place(own) - GAP);
                let radius = RADIUS.min(child - x).max(0.0);
                down(&path, x, start, middle - radius);
                path.quad_to(x, middle, x + radius, middle);
                path.line_to(child, middle);
            }
            if lines.followed {
                down(&path, x, (bottom + GAP).min(end), end);
            }
            path.to_path()
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Branch {
        const NAME: &'static str = "GuesthouseSnapshotBranch";
        type Type = super::Branch;
        type ParentType = gtk::Widget;
    }

    impl ObjectImpl for Branch {
        fn dispose(&self) {
            if let Some(child) = self.child.get() {
                child.unparent();
            }
        }
    }

    impl WidgetImpl for Branch {
        fn request_mode(&self) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::HeightForWidth
        }

        fn measure(&self, orientation: gtk::Orientation, size: i32) -> (i32, i32, i32, i32) {
            let indent = self.indent();
            let (size, more) = match orientation {
                gtk::Orientation::Vertical if size >= 0 => ((size - indent).max(0), 0),
                gtk::Orientation::Vertical => (size, 0),
                _ => (-1, indent),
            };
            let Some(child) = self.child.get() else {
                return (more, more, -1, -1);
            };
            let (least, natural, ..) = child.measure(orientation, size);
            (least + more, natural + more, -1, -1)
        }

        fn size_allocate(&self, width: i32, height: i32, baseline: i32) {
            let Some(child) = self.child.get() else {
                return;
            };
            let indent = self.indent();
            let left = match self.obj().direction() {
                gtk::TextDirection::Rtl => 0,
                _ => indent,
            };
            let place = gtk::Allocation::new(left, 0, (width - indent).max(0), height);
            child.size_allocate(&place, baseline);
        }

        #[expect(clippy::cast_precision_loss, reason = "a row has few pixels")]
        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let widget = self.obj();
            let Some(child) = self.child.get() else {
                return;
            };
            let (width, height) = (widget.width() as f32, widget.height() as f32);
            // The list's row has a border and edges of its own.
            let row = widget.ancestor(gtk::ListBoxRow::static_type());
            let reach = |of: Option<&gtk::Widget>| {
                let place = of.and_then(|of| of.compute_bounds(&*widget));
                place.map_or((0.0, height), |place| {
                    (place.y(), place.y() + place.height())
                })
            };
            // Beside letters, lines are to be seen and not to be read; who needs contrast needs them as dark as those.
            let strength = match adw::StyleManager::default().is_high_contrast() {
                true => 1.0,
                false => 0.35,
            };
            let text = widget.color();
            let colour = text.with_alpha(text.alpha() * strength);
            snapshot.save();
            if widget.direction() == gtk::TextDirection::Rtl {
                snapshot.translate(&graphene::Point::new(width, 0.0));
                snapshot.scale(-1.0, 1.0);
            }
            let path = self.path(reach(row.as_ref()), reach(Some(child)));
            snapshot.append_stroke(&path, &gsk::Stroke::new(WIDTH), &colour);
            snapshot.restore();
            widget.snapshot_child(child, snapshot);
        }
    }
}

glib::wrapper! {
    /// The widget.
    pub struct Branch(ObjectSubclass<imp::Branch>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Branch {
    /// One whose `lines` lead to `child`.
    pub fn new(lines: Lines, child: &impl IsA<gtk::Widget>) -> Self {
        let branch: Self = glib::Object::builder()
            .property("accessible-role", gtk::AccessibleRole::Presentation)
            .build();
        branch.imp().lines.replace(lines);
        child.set_parent(&branch);
        // It was only just made: nobody set it before.
        let _ = branch.imp().child.set(child.clone().upcast());
        branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a terminal would draw them: `│` and `├` where more comes, `└` where it ends, and `┬` above what comes after.
    fn drawn(levels: &[usize]) -> Vec<String> {
        let draw = |lines: Lines| {
            let own = lines.later.len();
            let columns = lines.later.iter().enumerate();
            let mut text: String = columns
                .map(
                    |(level, later)| match (level + 1 == own && !lines.straight, later) {
                        (true, true) => '├',
                        (true, false) => '└',
                        (false, true) => '│',
                        (false, false) => ' ',
                    },
                )
                .collect();
            text.push(if lines.straight { '│' } else { '─' });
            text.push(if lines.followed { '┬' } else { '─' });
            text
        };
        lines(levels).into_iter().map(draw).collect()
    }

    #[test]
    fn lines_lead_from_what_comes_before_to_what_comes_after() {
        assert_eq!(drawn(&[0]), ["──"]);
        assert_eq!(drawn(&[0, 0]), ["──", "──"]);
        assert_eq!(
            drawn(&[0, 1, 2, 2, 1, 2, 0]),
            ["─┬", "├─┬", "│├──", "│└──", "└─┬", " └──", "──"]
        );
        // Past a branch that goes deeper on.
        assert_eq!(
            drawn(&[0, 1, 2, 3, 1]),
            ["─┬", "├─┬", "│└─┬", "│ └──", "└──"]
        );
    }

    #[test]
    fn many_levels_are_narrow_and_the_last_go_straight_down() {
        let deep: Vec<usize> = (0..14).collect();
        let lines = lines(&deep);
        let last = lines.last().unwrap();
        assert_eq!((last.later.len(), last.straight), (DEEPEST, true));
        assert!(last.step * last.later.len() <= ROOM);
        assert!(!lines[DEEPEST].straight && lines[DEEPEST].followed);
        let few = super::lines(&[0, 1, 2]);
        assert_eq!(few[0].step, STEP);
    }
}
