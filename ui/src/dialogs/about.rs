//! The About dialog and the list of keyboard shortcuts.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

/// Shows what program this is.
pub fn about(parent: &impl IsA<gtk::Widget>) {
    adw::AboutDialog::builder()
        .application_name("Guesthouse")
        .application_icon(crate::APPLICATION_ID)
        .version(env!("CARGO_PKG_VERSION"))
        .developer_name("The Guesthouse developers")
        .license_type(gtk::License::Gpl30)
        .comments("Virtual machines, without a daemon")
        .build()
        .present(Some(parent));
}

/// The shortcuts, by what they belong to: a title and the keys as GTK writes them.
const SHORTCUTS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Window",
        &[
            ("New machine", "<Control>n"),
            ("Search machines", "<Control>f"),
            ("Full screen", "F11"),
            ("Main menu", "F10"),
            ("Keyboard shortcuts", "<Control>question"),
            ("Close window", "<Control>w"),
            ("Quit", "<Control>q"),
        ],
    ),
    (
        "Machine",
        &[
            ("Start or resume", "<Control>r"),
            ("Pause", "<Control>p"),
            ("Shut down", "<Control><Shift>s"),
            ("Take screenshot", "<Control><Shift>p"),
        ],
    ),
    (
        "Views",
        &[
            ("Display", "<Control>1"),
            ("Overview", "<Control>2"),
            ("Hardware", "<Control>3"),
            ("Snapshots", "<Control>4"),
            ("Log", "<Control>5"),
        ],
    ),
];

/// Shows the keyboard shortcuts.
pub fn shortcuts(parent: &impl IsA<gtk::Widget>) {
    let page = adw::PreferencesPage::new();
    for (title, list) in SHORTCUTS {
        let group = adw::PreferencesGroup::builder().title(title).build();
        for (title, keys) in list {
            let row = adw::ActionRow::builder().title(*title).build();
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
        .title("Keyboard Shortcuts")
        .content_width(460)
        .content_height(560)
        .child(&view)
        .build()
        .present(Some(parent));
}
