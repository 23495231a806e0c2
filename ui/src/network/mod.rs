//! What the window shows of virtual networks wherever it shows them: the ports of this computer that lead to a guest, and what
//! switches are called.

mod forward;
pub mod forwards;

use crate::model::{NAT, UNPLUGGED};
use crate::text::gettext;

/// What people call the switch that a definition calls `switch`.
pub fn switch_name(switch: &str) -> String {
    match switch {
        NAT => gettext("NAT"),
        UNPLUGGED => gettext("None"),
        other => other.to_owned(),
    }
}

/// Where that switch leads, in a line.
pub fn switch_purpose(switch: &str) -> String {
    match switch {
        NAT => gettext("To wherever this computer reaches, through its address"),
        UNPLUGGED => gettext("The machine has no network card"),
        _ => gettext("To the other machines at this virtual switch"),
    }
}
