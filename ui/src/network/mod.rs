//! What the window shows of virtual networks wherever it shows them: the ports of this computer that lead to a guest, and what
//! switches are called.

mod forward;
pub mod forwards;
pub mod switches;

use crate::model::{NAT, SwitchKind, UNPLUGGED};
use crate::text::gettext;

/// What people call the switch that a definition calls `switch`.
pub fn switch_name(switch: &str) -> String {
    match switch {
        NAT => gettext("NAT"),
        UNPLUGGED => gettext("None"),
        other => other.to_owned(),
    }
}

/// Where a switch of that kind leads, in a line.
pub fn kind_purpose(kind: SwitchKind) -> String {
    match kind {
        SwitchKind::Nat => gettext("To wherever this computer reaches, through its address"),
        SwitchKind::Internal => gettext("To this computer and the other machines at the switch"),
        SwitchKind::Private => gettext("To the other machines at the switch only"),
        SwitchKind::External => gettext("To this computer’s own network, as a station of its own"),
    }
}

/// Where the switch that a new machine calls `switch` leads, in a line.
pub fn switch_purpose(switch: &str) -> String {
    match switch {
        NAT => kind_purpose(SwitchKind::Nat),
        UNPLUGGED => gettext("The machine has no network card"),
        _ => gettext("To the other machines at this virtual switch"),
    }
}

/// Where a card leads whose definition names `switch`, in a line; `kind` is what that is, if there is such a switch.
pub fn card_purpose(switch: &str, kind: Option<SwitchKind>) -> String {
    match (switch, kind) {
        (UNPLUGGED, _) => gettext("The cable ends nowhere"),
        (_, Some(kind)) => kind_purpose(kind),
        (NAT, None) => kind_purpose(SwitchKind::Nat),
        (_, None) => gettext("There is no such virtual switch"),
    }
}
