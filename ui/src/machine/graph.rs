//! A small graph of the last minute of one figure, drawn in the accent colour, with its name and what it is now.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::gtk::{cairo, gdk};
use relm4::{adw, gtk};

use crate::access;
use crate::text::{gettext_with, message};

/// How many figures are kept.
pub const LENGTH: usize = 60;

/// The last figures, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History(VecDeque<f64>);

impl History {
    /// Adds the newest; what is no number counts as nothing.
    pub fn push(&mut self, figure: f64) {
        if self.0.len() >= LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(if figure.is_finite() {
            figure.max(0.0)
        } else {
            0.0
        });
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The places of the figures in a unit square, the newest at the right edge, where `top` is the upper edge.
    fn points(&self, top: f64) -> Vec<(f64, f64)> {
        let top = if top > 0.0 { top } else { 1.0 };
        let last = self.0.len().saturating_sub(1);
        let place = |number: usize| {
            let back = u32::try_from(last - number).unwrap_or(0);
            let steps = u32::try_from(LENGTH - 1).unwrap_or(1);
            1.0 - f64::from(back) / f64::from(steps)
        };
        let figures = self.0.iter().enumerate();
        figures
            .map(|(number, figure)| (place(number), 1.0 - (figure / top).clamp(0.0, 1.0)))
            .collect()
    }

    /// The largest of them.
    fn largest(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

/// A figure's graph.
pub struct Graph {
    card: gtk::Box,
    title: String,
    value: gtk::Label,
    area: gtk::DrawingArea,
    shown: Rc<RefCell<Shown>>,
}

#[derive(Default)]
struct Shown {
    history: History,
    /// What the upper edge is; nothing for what is largest, but this at least.
    top: Option<f64>,
    least: f64,
}

impl Graph {
    /// An empty one called `title`. Its upper edge is `top`, or the largest figure that is shown, `least` at least.
    pub fn new(title: &str, top: Option<f64>, least: f64) -> Self {
        let label = |classes: &[&str]| {
            gtk::Label::builder()
                .xalign(0.0)
                .css_classes(classes)
                .ellipsize(gtk::pango::EllipsizeMode::End)
                .build()
        };
        let name = label(&["heading"]);
        name.set_label(title);
        name.set_hexpand(true);
        let value = label(&["dimmed", "caption", "numeric"]);
        let heading = gtk::Box::builder()
            .orientation(gtk::Orientation::Vertical)
            .build();
        heading.append(&name);
        heading.append(&value);
        let shown = Rc::new(RefCell::new(Shown {
            top,
            least,
            ..Shown::default()
        }));
        let area = gtk::DrawingArea::builder()
            .content_height(64)
            .content_width(120)
            .hexpand(true)
            .accessible_role(gtk::AccessibleRole::Img)
            .build();
        area.set_draw_func({
            let shown = shown.clone();
            move |area, context, width, height| {
                // A context that cannot draw any more is the toolkit's to tell of.
                let _ = draw(area, context, (width, height), &shown.borrow());
            }
        });
        let card = gtk::Box::builder()
            .orientation(gtk::Orientation::Vertical)
            .spacing(6)
            .css_classes(["card", "graph"])
            .build();
        card.append(&heading);
        card.append(&area);
        Self {
            card,
            title: title.to_owned(),
            value,
            area,
            shown,
        }
    }

    /// The widget.
    pub fn widget(&self) -> &gtk::Box {
        &self.card
    }

    /// Adds a figure, which is `text` in words.
    pub fn push(&self, figure: f64, text: &str) {
        self.shown.borrow_mut().history.push(figure);
        self.value.set_label(text);
        let name = gettext_with(
            message("{figure}: {value}"),
            &[("figure", &self.title), ("value", &text)],
        );
        access::name(&self.area, &name);
        self.area.queue_draw();
    }

    /// Makes the upper edge this.
    pub fn set_top(&self, top: f64) {
        self.shown.borrow_mut().top = Some(top);
    }

    /// Forgets the figures.
    pub fn clear(&self) {
        self.shown.borrow_mut().history.clear();
        self.value.set_label("");
        access::name(&self.area, &self.title);
        self.area.queue_draw();
    }
}

fn draw(
    area: &gtk::DrawingArea,
    context: &cairo::Context,
    (width, height): (i32, i32),
    shown: &Shown,
) -> Result<(), cairo::Error> {
    let (width, height) = (f64::from(width), f64::from(height));
    let set = |colour: &gdk::RGBA, alpha: f64| {
        context.set_source_rgba(
            colour.red().into(),
            colour.green().into(),
            colour.blue().into(),
            alpha,
        );
    };
    let text = area.color();
    set(&text, 0.12);
    context.set_line_width(1.0);
    for quarter in 1..4 {
        let y = (height * f64::from(quarter) / 4.0).round() + 0.5;
        context.move_to(0.0, y);
        context.line_to(width, y);
    }
    context.stroke()?;
    let top = shown
        .top
        .unwrap_or_else(|| shown.history.largest().max(shown.least));
    let points = shown.history.points(top);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Ok(());
    };
    let accent = adw::StyleManager::default().accent_color_rgba();
    // The line stays whole at the edges.
    let place = |(x, y): (f64, f64)| (x * width, 1.0 + y * (height - 2.0));
    for point in &points {
        let (x, y) = place(*point);
        context.line_to(x, y);
    }
    let line = context.copy_path()?;
    let ((left, _), (right, _)) = (place(*first), place(*last));
    context.line_to(right, height);
    context.line_to(left, height);
    context.close_path();
    set(&accent, 0.2);
    context.fill()?;
    context.append_path(&line);
    set(&accent, 1.0);
    context.set_line_width(2.0);
    context.set_line_join(cairo::LineJoin::Round);
    context.stroke()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_at_the_right_edge_and_the_oldest_goes() {
        let mut history = History::default();
        assert_eq!(history.points(1.0), []);
        history.push(0.5);
        assert_eq!(history.points(1.0), [(1.0, 0.5)]);
        for number in 0..100_u32 {
            history.push(f64::from(number));
        }
        let points = history.points(99.0);
        assert_eq!((points.len(), points[0].0), (LENGTH, 0.0));
        assert_eq!(points[LENGTH - 1], (1.0, 0.0));
        assert_eq!(history.largest(), 99.0);
    }

    #[test]
    fn nonsense_stays_within_the_edges() {
        let mut history = History::default();
        for figure in [f64::NAN, f64::INFINITY, -3.0, 7.0] {
            history.push(figure);
        }
        for top in [0.0, -1.0, 5.0] {
            let inside = |(x, y): &(f64, f64)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y);
            assert!(history.points(top).iter().all(inside), "{top}");
        }
    }
}
