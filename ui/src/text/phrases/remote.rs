//! What is said of viewers, and by the process that runs a machine elsewhere.

use crate::text::message;

/// Viewers and processes.
pub const REMOTE: &[&str] = &[
    message(
        "other computers can reach {address}, so it needs a password: set one, or use a loopback address",
    ),
    message("{path} exists and is no socket that was left behind; choose another path"),
    message("cannot listen on {address}: {source}"),
    message("the machine's screen is no longer served"),
    message("{count} viewers are connected to this machine already; close one"),
    message("cannot serve the viewer: {source}"),
    message("there is no place for sockets"),
    message(
        "the ports {first} to {last} are all in use; choose a socket for other viewers in the preferences, or end a VNC server",
    ),
    message("{path} is not a private folder of yours; remove it and try again"),
    message("the process {number} no longer runs the machine"),
    message("the process that holds the machine went away; ask for its state again"),
    message("the process that holds the machine answered {answer}"),
    message(
        "the process that holds the machine answered {answer}; it may be another version of Guesthouse",
    ),
    message("the answer is too long"),
    message("this is not a request: {cause}"),
];
