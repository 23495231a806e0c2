//! The sign of an operating system: its first letter on a disc of the colour that people know it by. (The data base of operating
//! systems has no pictures, and makers' logos are theirs.) A machine with another system, or an unknown one, has its own letter
//! and a colour of its own.

use std::fmt::Write;

use relm4::gtk::{self, prelude::*};

/// How systems are called in the data base, by the word that tells them apart, and their letters and colours.
const SYSTEMS: [(&str, &str, &str); 27] = [
    ("windows", "W", "#0067c0"),
    ("ms-dos", "M", "#3d3d3d"),
    ("freedos", "F", "#2c5aa0"),
    ("debian", "D", "#c70036"),
    ("ubuntu", "U", "#d9480f"),
    ("fedora", "F", "#3c6eb4"),
    ("hat", "R", "#c9190b"),
    ("centos", "C", "#7a2e8c"),
    ("almalinux", "A", "#0f4266"),
    ("rocky", "R", "#0a7d5a"),
    ("opensuse", "S", "#4d7d10"),
    ("suse", "S", "#0a7a50"),
    ("arch", "A", "#1272a8"),
    ("manjaro", "M", "#20794a"),
    ("alpine", "A", "#0d597f"),
    ("mint", "M", "#4a7c1f"),
    ("gentoo", "G", "#54487a"),
    ("nixos", "N", "#415e9a"),
    ("slackware", "S", "#3f4a8c"),
    ("void", "V", "#35674a"),
    ("mageia", "M", "#1f6f9b"),
    ("freebsd", "F", "#a81412"),
    ("openbsd", "O", "#8a6d00"),
    ("netbsd", "N", "#c2570c"),
    ("haiku", "H", "#2f6ea5"),
    ("macos", "M", "#5e5c64"),
    ("gnome", "G", "#4a5fb5"),
];

/// The colours of other machines.
const OTHERS: [&str; 6] = [
    "#1c71d8", "#26806b", "#986a44", "#813d9c", "#a51d2d", "#5e5c64",
];

/// The size of a sign in the toolkit's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Alone.
    Alone,
    /// In a corner of a picture.
    Badge,
}

/// The style of all signs.
pub fn style() -> String {
    let mut style = String::from(
        ".sign { border-radius: 9999px; color: white; font-weight: 800; }
.sign.alone { min-width: 32px; min-height: 32px; font-size: 16px; }
.sign.badge { min-width: 20px; min-height: 20px; font-size: 11px; margin: 2px; box-shadow: 0 0 0 1px rgb(255 255 255 / 70%); }
",
    );
    let systems = SYSTEMS.iter().map(|(_, _, colour)| *colour);
    for (number, colour) in systems.chain(OTHERS).enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(style, ".sign-{number} {{ background: {colour}; }}");
    }
    style
}

/// A sign that shows nothing yet.
pub fn new() -> gtk::Label {
    gtk::Label::builder()
        .halign(gtk::Align::Center)
        .valign(gtk::Align::Center)
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build()
}

/// Lets `sign` stand for the operating system `system`, or where that is not known for the machine called `name`.
pub fn show(sign: &gtk::Label, system: Option<&str>, name: &str, size: Size) {
    let (number, letter) = of(system, name);
    let size = match size {
        Size::Alone => "alone",
        Size::Badge => "badge",
    };
    sign.set_label(&letter);
    sign.set_css_classes(&["sign", size, &format!("sign-{number}")]);
}

/// The number of the colour, and the letter.
fn of(system: Option<&str>, name: &str) -> (usize, String) {
    let lower = system.unwrap_or_default().to_lowercase();
    let known = SYSTEMS.iter().enumerate();
    let mut known = known.filter(|(_, (name, _, _))| lower.split(' ').any(|word| word == *name));
    if let Some((number, (_, letter, _))) = known.next() {
        return (number, (*letter).to_owned());
    }
    let called = system.unwrap_or(name);
    let sum = called.bytes().map(usize::from).sum::<usize>();
    let letter = called.chars().find(|letter| letter.is_alphanumeric());
    let letter = letter.map_or_else(String::new, |letter| letter.to_uppercase().to_string());
    (SYSTEMS.len() + sum % OTHERS.len(), letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_known_by_a_word() {
        for (system, name, letter) in [
            (Some("Debian 12"), "x", "D"),
            (Some("Microsoft Windows XP"), "x", "W"),
            (Some("Fedora Linux 40"), "x", "F"),
            (Some("openSUSE Leap 15.5"), "x", "S"),
            (Some("Something Else"), "x", "S"),
            (None, "élan", "É"),
            (None, "…", ""),
        ] {
            assert_eq!(of(system, name).1, letter, "{system:?} {name}");
        }
        assert_eq!(of(Some("Debian 12"), "a"), of(Some("Debian 9"), "b"));
        assert!(of(None, "a").0 >= SYSTEMS.len());
        assert!(style().contains(".sign-32 { background: #5e5c64; }"));
    }
}
