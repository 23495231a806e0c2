//! How the machine's page adapts to the room it has: with little of it the views are switched beneath, and the header says which
//! machine it is.
//!
//! How much room the switcher wants depends on the language, of whose words none is to be cut. So it is asked for it.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

/// Below this width of the page, in scaled pixels, or where they do not fit beside them, the switcher's words are beneath its pictures.
const WIDE: f64 = 860.0;
/// Below this one, or where its words do not fit, the switcher is beneath the page.
const NARROW: f64 = 620.0;
/// Below this one most of the header goes.
const NARROWEST: f64 = 500.0;
/// Pixels of what comes into the header later: the window's own three buttons, and one more when the machine runs.
const LATER: i32 = 162;
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
        // By what both need at least: a header would like to have as much at its start as at its end.
        let beside = widths(self.header).0 - widths(self.switcher).0 + LATER;
        let below_room = |switcher: i32, least: f64| {
            let pixels = f64::from(beside + switcher);
            below(adw::LengthUnit::Sp.from_px(pixels, None).max(least))
        };
        let narrower = below_room(widths(self.switcher).1, WIDE);
        let narrow = below_room(words_beneath(self.switcher), NARROW);
        let narrowest = below(NARROWEST);
        narrower.add_setter(
            self.switcher,
            "policy",
            Some(&adw::ViewSwitcherPolicy::Narrow.to_value()),
        );
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
        for breakpoint in [narrower, narrow, narrowest] {
            self.bin.add_breakpoint(breakpoint);
        }
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

fn below(width: f64) -> adw::Breakpoint {
    let length = adw::BreakpointConditionLengthType::MaxWidth;
    let unit = adw::LengthUnit::Sp;
    adw::Breakpoint::new(adw::BreakpointCondition::new_length(length, width, unit))
}
