//! What the window shows of virtual networks wherever it shows them: the ports of this computer that lead to a guest, and what
//! switches are called.

mod forward;
pub mod forwards;

use crate::model::{NAT, UNPLUGGED};

/// What people call the switch that a definition calls `switch`.
pub fn switch_name(switch: &str) -> &str {
    match switch {
        NAT => "NAT",
        UNPLUGGED => "None",
        other => other,
    }
}

/// Where that switch leads, in a line.
pub fn switch_purpose(switch: &str) -> &'static str {
    match switch {
        NAT => "To wherever this computer reaches, through its address",
        UNPLUGGED => "The machine has no network card",
        _ => "To the other machines at this virtual switch",
    }
}
