//! The preferences. What is chosen holds at once.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::{CLOSING, COLOUR_SCHEME, RELEASE_KEYS, ReleaseKeys, Settings, keys, machines, session};
use crate::text::gettext;

/// Shows the preferences over `parent`.
pub fn show(parent: &impl IsA<gtk::Widget>) {
    let settings = super::get();
    let dialog = adw::PreferencesDialog::builder()
        .title(gettext("Preferences"))
        .content_height(720)
        .build();
    dialog.add(&general(&settings));
    dialog.add(&machines::page(&settings, &dialog));
    dialog.present(Some(parent));
}

/// What concerns the program itself.
fn general(settings: &Settings) -> adw::PreferencesPage {
    let page = adw::PreferencesPage::builder()
        .title(gettext("General"))
        .icon_name("preferences-system-symbolic")
        .build();

    let looks = adw::PreferencesGroup::builder()
        .title(gettext("Appearance"))
        .build();
    let schemes = [gettext("As the desktop"), gettext("Light"), gettext("Dark")];
    let title = gettext("Colour Scheme");
    looks.add(&choice(settings, COLOUR_SCHEME, &title, Some(""), &schemes));
    page.add(&looks);

    let background = adw::PreferencesGroup::builder()
        .title(gettext("Background"))
        .build();
    let closing = [
        gettext("Ask"),
        gettext("Keep them running"),
        gettext("Shut them down"),
    ];
    let title = gettext("When the Window Is Closed");
    let meaning = gettext("What becomes of machines that run");
    background.add(&choice(settings, CLOSING, &title, Some(&meaning), &closing));
    background.add(&session::row(settings));
    page.add(&background);

    let keyboard = adw::PreferencesGroup::builder()
        .title(gettext("Keyboard"))
        .description(gettext(
            "Pressed alone, the release keys take the keyboard and the pointer back from a guest",
        ))
        .build();
    let names = ReleaseKeys::ALL.map(|(_, name)| gettext(name));
    let title = gettext("Release Keys");
    keyboard.add(&choice(settings, RELEASE_KEYS, &title, None, &names));
    page.add(&keyboard);
    page.add(&keys::own_keys(settings));
    page
}

/// A row with the `names` of the setting's values in their order. Without a `meaning`, which may be empty, the value stands beneath
/// the title, where it has room.
pub fn choice(
    settings: &Settings,
    key: &'static str,
    title: &str,
    meaning: Option<&str>,
    names: &[String],
) -> adw::ComboRow {
    // The row looks for the subtitle when it is given the value, not when it is told to.
    let row = adw::ComboRow::builder()
        .title(title)
        .subtitle(meaning.unwrap_or_default())
        .use_subtitle(meaning.is_none())
        .model(&names.iter().cloned().collect::<gtk::StringList>())
        .selected(u32::try_from(settings.number(key)).unwrap_or(0))
        .build();
    let settings = settings.clone();
    row.connect_selected_notify(move |row| settings.set_number(key, row.selected()));
    row
}
