//! The About dialog and the list of keyboard shortcuts.

use crate::text::{gettext, message};
use relm4::adw::prelude::*;
use relm4::{adw, gtk};

/// Shows what program this is.
pub fn about(parent: &impl IsA<gtk::Widget>) {
    adw::AboutDialog::builder()
        .application_name("Guesthouse")
        .application_icon(crate::APPLICATION_ID)
        .version(env!("CARGO_PKG_VERSION"))
        .developer_name(gettext("The Guesthouse developers"))
        .license_type(gtk::License::Gpl30)
        .comments(gettext("Virtual machines, without a daemon"))
        // Translators: the names of those who translated, a line each.
        .translator_credits(translators())
        .build()
        .present(Some(parent));
}

/// Who translated, as the catalogue says it; nobody in English.
fn translators() -> String {
    const CREDITS: &str = message("translator-credits");
    Some(gettext(CREDITS))
        .filter(|credits| credits != CREDITS)
        .unwrap_or_default()
}

/// The shortcuts, by what they belong to: a title and the keys as GTK writes them.
const SHORTCUTS: [(&str, &[(&str, &str)]); 3] = [
    (
        message("Window"),
        &[
            (message("New machine"), "<Control>n"),
            (message("Search machines"), "<Control>f"),
            (message("Full screen"), "F11"),
            (message("Main menu"), "F10"),
            (message("Preferences"), "<Control>comma"),
            (message("Keyboard shortcuts"), "<Control>question"),
            (message("Close window"), "<Control>w"),
            (message("Quit"), "<Control>q"),
        ],
    ),
    (
        message("Machine"),
        &[
            (message("Start or resume"), "<Control>r"),
            (message("Pause"), "<Control>p"),
            (message("Shut down"), "<Control><Shift>s"),
            (message("Take screenshot"), "<Control><Shift>p"),
            (message("Open in a window of its own"), "F12"),
            (message("Rename"), "F2"),
            (message("Zoom in"), "<Control>plus"),
            (message("Zoom out"), "<Control>minus"),
            (message("Fit the window"), "<Control>0"),
        ],
    ),
    (
        message("Views"),
        &[
            (message("Display"), "<Control>1"),
            (message("Overview"), "<Control>2"),
            (message("Hardware"), "<Control>3"),
            (message("Snapshots"), "<Control>4"),
            (message("Serial"), "<Control>5"),
            (message("Log"), "<Control>6"),
        ],
    ),
];

/// Shows the keyboard shortcuts.
pub fn shortcuts(parent: &impl IsA<gtk::Widget>) {
    let page = adw::PreferencesPage::new();
    for (title, list) in SHORTCUTS {
        let group = adw::PreferencesGroup::builder()
            .title(gettext(title))
            .build();
        for (title, keys) in list {
            let row = adw::ActionRow::builder().title(gettext(*title)).build();
            let keys = gtk::accelerator_parse(*keys)
                .map(|(key, modifiers)| gtk::accelerator_get_label(key, modifiers));
            let label = gtk::Label::new(keys.as_deref());
            label.add_css_class("dimmed");
            row.add_suffix(&label);
            group.add(&row);
        }
        page.add(&group);
    }
    let view = adw::ToolbarView::new();
    view.add_top_bar(&adw::HeaderBar::new());
    view.set_content(Some(&page));
    adw::Dialog::builder()
        .title(gettext("Keyboard Shortcuts"))
        .content_width(460)
        .content_height(560)
        .child(&view)
        .build()
        .present(Some(parent));
}
