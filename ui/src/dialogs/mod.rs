//! Dialogs and pages that stand for themselves: choosing files, questions, what is wrong with the host.

pub mod about;
pub mod file_choice;
pub mod file_drop;
pub mod form;
pub mod host_check;
pub mod launch;
pub mod progress;
pub mod question;
pub mod toast;
