//! How the machine's page adapts to the room it has: with little of it the views are switched beneath, and the header says which
//! machine it is.
//!
//! How much room the switcher wants depends on the language, of whose words none is to be cut. So it is asked for it.

use std::cell::Cell;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

/// Below this width of the page, in scaled pixels, or where they do not fit beside them, the switcher's words are beneath its pictures.
const WIDE: f64 = 860.0;
/// Below this one, or where its words do not fit, the switcher is beneath the page.
const NARROW: f64 = 620.0;
/// Below this one most of the header goes.
const NARROWEST: f64 = 500.0;
/// Pixels of a button in the header: a machine that runs has one more.
const BUTTON: i32 = 46;
/// Pixels beside a word beneath its picture.
const PADDING: i32 = 12;

/// The parts of the page that change.
pub struct Adapting<'a> {
    /// What has the page's width.
    pub bin: &'a adw::BreakpointBin,
    /// The page's header, with `switcher` in its middle.
    pub header: &'a adw::HeaderBar,
    /// It, in the header.
    pub switcher: &'a adw::ViewSwitcher,
    /// It, beneath.
    pub bottom: &'a adw::ViewSwitcherBar,
    /// What opens the machine's own window.
    pub own: &'a gtk::Button,
}

impl Adapting<'_> {
    /// Adapts them from now on.
    pub fn adapt(self) {
        let narrower = adw::Breakpoint::new(below(WIDE));
        narrower.add_setter(
            self.switcher,
            "policy",
            Some(&adw::ViewSwitcherPolicy::Narrow.to_value()),
        );
        let narrow = adw::Breakpoint::new(below(NARROW));
        let narrowest = adw::Breakpoint::new(below(NARROWEST));
        for room in [&narrow, &narrowest] {
            room.add_setter(
                self.header,
                "title-widget",
                Some(&None::<gtk::Widget>.to_value()),
            );
            room.add_setter(self.bottom, "reveal", Some(&true.to_value()));
        }
        narrowest.add_setter(self.header, "decoration-layout", Some(&":close".to_value()));
        narrowest.add_setter(self.own, "visible", Some(&false.to_value()));
        for breakpoint in [&narrower, &narrow, &narrowest] {
            self.bin.add_breakpoint(breakpoint.clone());
        }
        let (switcher, asked) = (self.switcher.clone(), Cell::new(false));
        // Not before: the window's own buttons are in the header only when it is in a window. The switcher is not in it where there
        // is little room.
        self.header.connect_map(move |header| {
            if header.title_widget().is_none() || asked.replace(true) {
                return;
            }
            // By what both need at least: a header would like to have as much at its start as at its end.
            let beside = widths(header).0 - widths(&switcher).0 + BUTTON;
            let room = |switcher: i32, least: f64| {
                let pixels = f64::from(beside + switcher);
                below(adw::LengthUnit::Sp.from_px(pixels, None).max(least))
            };
            narrower.set_condition(Some(&room(widths(&switcher).1, WIDE)));
            narrow.set_condition(Some(&room(words_beneath(&switcher), NARROW)));
        });
    }
}

/// Pixels that a switcher needs for its words beneath its pictures. It would like to have more, whatever they are.
fn words_beneath(switcher: &adw::ViewSwitcher) -> i32 {
    let pages = switcher.stack().map(|stack| stack.pages());
    let titles = pages
        .iter()
        .flat_map(|pages| pages.iter::<adw::ViewStackPage>());
    let widths: Vec<i32> = titles
        .flatten()
        .map(|page| {
            let label = gtk::Label::new(page.title().as_deref());
            label.add_css_class("caption-heading");
            widths(&label).1 + PADDING
        })
        .collect();
    // Each gets as much as the widest.
    let number = i32::try_from(widths.len()).unwrap_or(i32::MAX);
    widths.into_iter().max().unwrap_or(0).saturating_mul(number)
}

/// How wide it is at least and in which width nothing of it is cut, in pixels.
fn widths(widget: &impl IsA<gtk::Widget>) -> (i32, i32) {
    let (least, natural, ..) = widget.measure(gtk::Orientation::Horizontal, -1);
    (least, natural)
}

fn below(width: f64) -> adw::BreakpointCondition {
    adw::BreakpointCondition::new_length(
        adw::BreakpointConditionLengthType::MaxWidth,
        width,
        adw::LengthUnit::Sp,
    )
}
