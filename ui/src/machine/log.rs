//! What a machine's firmware and engine said, in its latest run here or as its log file has it, newest last. The view follows the end while it is looked at.

use std::collections::VecDeque;
use std::path::Path;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::text::gettext;

/// How many lines are kept.
const KEPT: usize = 5000;

/// The view.
pub struct LogView {
    lines: VecDeque<String>,
    buffer: gtk::TextBuffer,
    /// Only lines with this in them are shown, in capital letters or small ones.
    wanted: String,
}

/// What it is told.
#[derive(Debug)]
pub enum LogInput {
    /// These are the lines.
    Show(Vec<String>),
    /// Another line.
    Line(String),
    /// Show only lines with this in them.
    Find(String),
    /// Copy what is shown.
    Copy,
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
            add_named[Some("lines")] = &adw::ToolbarView {
                add_top_bar = &gtk::Box {
                    add_css_class: "toolbar",
                    #[name = "search"]
                    gtk::SearchEntry {
                        set_hexpand: true,
                        set_placeholder_text: Some(&gettext("Search the log")),
                        connect_search_changed[sender] => move |entry| sender.input(LogInput::Find(entry.text().into())),
                        update_property: &[gtk::accessible::Property::Label(&gettext("Search the log"))],
                    },
                    gtk::Button {
                        set_icon_name: "edit-copy-symbolic",
                        set_tooltip_text: Some(&gettext("Copy the Log")),
                        connect_clicked => LogInput::Copy,
                        update_property: &[gtk::accessible::Property::Label(&gettext("Copy the Log"))],
                    },
                },
                #[wrap(Some)]
                #[name = "found"]
                set_content = &gtk::Stack {
                    add_named[Some("some")] = &gtk::ScrolledWindow {
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
                    add_named[Some("none")] = &adw::StatusPage {
                        set_icon_name: Some("edit-find-symbolic"),
                        set_title: &gettext("No Line Found"),
                        set_description: Some(&gettext("No line of the log has this in it.")),
                    },
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            lines: VecDeque::new(),
            buffer: gtk::TextBuffer::new(None),
            wanted: String::new(),
        };
        let widgets = view_output!();
        // Whoever types while the log has the keyboard searches it.
        widgets.search.set_key_capture_widget(Some(&widgets.text));
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
            LogInput::Show(lines) => {
                self.lines = lines.into();
                self.fill();
            }
            LogInput::Line(line) => self.append(line),
            LogInput::Find(text) => {
                self.wanted = text.to_lowercase();
                self.fill();
            }
            LogInput::Copy => {
                let (start, end) = self.buffer.bounds();
                let text = self.buffer.text(&start, &end, false);
                widgets.stack.clipboard().set_text(&text);
            }
        }
        let page = |empty, one, other| if empty { one } else { other };
        let shown = page(self.lines.is_empty(), "empty", "lines");
        widgets.stack.set_visible_child_name(shown);
        let found = page(self.buffer.char_count() == 0, "none", "some");
        widgets.found.set_visible_child_name(found);
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

impl LogView {
    fn is_wanted(&self, line: &str) -> bool {
        self.wanted.is_empty() || line.to_lowercase().contains(&self.wanted)
    }

    fn fill(&self) {
        let wanted = self.lines.iter().filter(|line| self.is_wanted(line));
        let wanted: Vec<&str> = wanted.map(String::as_str).collect();
        self.buffer.set_text(&wanted.join("\n"));
    }

    fn append(&mut self, line: String) {
        if self.is_wanted(&line) {
            let mut end = self.buffer.end_iter();
            if self.buffer.char_count() > 0 {
                self.buffer.insert(&mut end, "\n");
            }
            self.buffer.insert(&mut end, &line);
        }
        self.lines.push_back(line);
        if self.lines.len() > KEPT
            && let Some(oldest) = self.lines.pop_front()
            && self.is_wanted(&oldest)
            && let Some(mut second) = self.buffer.iter_at_line(1)
        {
            self.buffer
                .delete(&mut self.buffer.start_iter(), &mut second);
        }
    }
}

/// The lines that an earlier run left in the file at `path`; none if it cannot be read.
pub fn kept(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let excess = lines.len().saturating_sub(KEPT);
    lines.into_iter().skip(excess).collect()
}
