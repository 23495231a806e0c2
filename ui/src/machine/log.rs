//! What a machine's firmware and engine said, in its latest run here or as its log file has it, newest last. The view follows the end while it is looked at.

use crate::text::gettext;
use std::path::Path;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

/// How many lines are kept on the screen.
const KEPT: i32 = 5000;

/// The view.
pub struct LogView {
    buffer: gtk::TextBuffer,
}

/// What it is told.
#[derive(Debug)]
pub enum LogInput {
    /// These are the lines.
    Show(Vec<String>),
    /// Another line.
    Line(String),
}

#[relm4::component(pub)]
impl Component for LogView {
    type Init = ();
    type Input = LogInput;
    type Output = ();
    type CommandOutput = ();

    view! {
        #[root]
        #[name = "stack"]
        gtk::Stack {
            add_named[Some("empty")] = &adw::StatusPage {
                set_icon_name: Some("text-x-generic-symbolic"),
                set_title: &gettext("Nothing Logged"),
                set_description: Some(&gettext("What the machine’s firmware and engine say while it runs appears here.")),
            },
            add_named[Some("lines")] = &gtk::ScrolledWindow {
                #[name = "text"]
                gtk::TextView {
                    set_buffer: Some(&model.buffer),
                    set_editable: false,
                    set_cursor_visible: false,
                    set_monospace: true,
                    set_wrap_mode: gtk::WrapMode::WordChar,
                    set_top_margin: 12,
                    set_bottom_margin: 12,
                    set_left_margin: 12,
                    set_right_margin: 12,
                    update_property: &[gtk::accessible::Property::Label(&gettext("Log"))],
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, _sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            buffer: gtk::TextBuffer::new(None),
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: LogInput,
        _: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        let following = widgets
            .text
            .vadjustment()
            .is_none_or(|scroll| scroll.value() + scroll.page_size() + 24.0 >= scroll.upper());
        match message {
            LogInput::Show(lines) => self.buffer.set_text(&lines.join("\n")),
            LogInput::Line(line) => {
                let mut end = self.buffer.end_iter();
                if self.buffer.char_count() > 0 {
                    self.buffer.insert(&mut end, "\n");
                }
                self.buffer.insert(&mut end, &line);
                let excess = self.buffer.line_count() - KEPT;
                if let Some(mut kept) = self.buffer.iter_at_line(excess).filter(|_| excess > 0) {
                    self.buffer.delete(&mut self.buffer.start_iter(), &mut kept);
                }
            }
        }
        let name = if self.buffer.char_count() == 0 {
            "empty"
        } else {
            "lines"
        };
        widgets.stack.set_visible_child_name(name);
        if following {
            // The lines are laid out when the view is drawn next.
            let text = widgets.text.clone();
            gtk::glib::idle_add_local_once(move || {
                let mut end = text.buffer().end_iter();
                text.scroll_to_iter(&mut end, 0.0, false, 0.0, 1.0);
            });
        }
    }
}

/// The lines that an earlier run left in the file at `path`; none if it cannot be read.
pub fn kept(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let kept = usize::try_from(KEPT).unwrap_or(usize::MAX);
    lines.into_iter().rev().take(kept).rev().collect()
}
