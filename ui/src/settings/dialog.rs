//! The preferences. What is chosen holds at once.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::{CLOSING, COLOUR_SCHEME, RELEASE_KEYS, ReleaseKeys, START, Settings};
use crate::text::gettext;

/// Shows the preferences over `parent`.
pub fn show(parent: &impl IsA<gtk::Widget>) {
    let settings = super::get();
    let page = adw::PreferencesPage::new();

    let looks = adw::PreferencesGroup::builder()
        .title(gettext("Appearance"))
        .build();
    let schemes = [gettext("As the desktop"), gettext("Light"), gettext("Dark")];
    looks.add(&choice(
        &settings,
        COLOUR_SCHEME,
        &gettext("Colour Scheme"),
        "",
        &schemes,
    ));
    page.add(&looks);

    let machines = adw::PreferencesGroup::builder()
        .title(gettext("Machines"))
        .build();
    let start = adw::SwitchRow::builder()
        .title(gettext("Start New Machines at Once"))
        .subtitle(gettext(
            "The New Machine window suggests it; each time, you can decide otherwise",
        ))
        .build();
    if let Some(settings) = &settings.0 {
        settings.bind(START, &start, "active").build();
    }
    machines.add(&start);
    let closing = [
        gettext("Ask"),
        gettext("Keep them running"),
        gettext("Shut them down"),
    ];
    let title = gettext("When the Window Is Closed");
    let meaning = gettext("What becomes of machines that run");
    machines.add(&choice(&settings, CLOSING, &title, &meaning, &closing));
    page.add(&machines);

    let keys = adw::PreferencesGroup::builder()
        .title(gettext("Keyboard"))
        .build();
    let names = ReleaseKeys::ALL.map(|(_, name)| gettext(name));
    let title = gettext("Release Keys");
    let meaning =
        gettext("Pressed alone, they take the keyboard and the pointer back from a guest");
    keys.add(&choice(&settings, RELEASE_KEYS, &title, &meaning, &names));
    page.add(&keys);

    let dialog = adw::PreferencesDialog::builder()
        .title(gettext("Preferences"))
        .build();
    dialog.add(&page);
    dialog.present(Some(parent));
}

/// A row with the `names` of the setting's values in their order.
fn choice(
    settings: &Settings,
    key: &'static str,
    title: &str,
    meaning: &str,
    names: &[String],
) -> adw::ComboRow {
    let row = adw::ComboRow::builder()
        .title(title)
        .subtitle(meaning)
        .model(&names.iter().cloned().collect::<gtk::StringList>())
        .selected(u32::try_from(settings.number(key)).unwrap_or(0))
        .build();
    let settings = settings.clone();
    row.connect_selected_notify(move |row| settings.set_number(key, row.selected()));
    row
}
