//! What stands in the page's place while several machines are selected: what can be done with all of them.

use relm4::adw::prelude::*;
use relm4::gtk::gio;
use relm4::{adw, gtk};

use crate::text::{gettext, ngettext_with};

/// The page, and the actions of the window's group "selection" behind its buttons.
pub struct Several {
    page: adw::NavigationPage,
    status: adw::StatusPage,
    group: gio::SimpleActionGroup,
}

/// Something to be done with all machines that are selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// Start those that are off, and go on with those that are paused.
    Start,
    /// Press the power buttons of those that run.
    ShutDown,
}

const ACTIONS: [(&str, Together); 2] = [
    ("start", Together::Start),
    ("shut-down", Together::ShutDown),
];

impl Several {
    /// The page; its buttons call `wish`.
    pub fn new(wish: impl Fn(Together) + Clone + 'static) -> Self {
        let group = gio::SimpleActionGroup::new();
        for (name, what) in ACTIONS {
            let action = gio::SimpleAction::new(name, None);
            let wish = wish.clone();
            action.connect_activate(move |_, _| wish(what));
            group.add_action(&action);
        }
        let buttons = adw::WrapBox::builder()
            .child_spacing(12)
            .line_spacing(12)
            .align(0.5)
            .build();
        for (label, action, classes) in [
            (
                gettext("_Start"),
                "selection.start",
                ["pill", "suggested-action"].as_slice(),
            ),
            (gettext("Shut Do_wn"), "selection.shut-down", &["pill"]),
        ] {
            let button = gtk::Button::builder()
                .label(label)
                .use_underline(true)
                .action_name(action)
                .css_classes(classes.to_vec())
                .build();
            buttons.append(&button);
        }
        let status = adw::StatusPage::builder()
            .icon_name("computer-symbolic")
            .child(&buttons)
            .build();
        let view = adw::ToolbarView::builder().content(&status).build();
        view.add_top_bar(&adw::HeaderBar::builder().show_title(false).build());
        let page = adw::NavigationPage::builder()
            .child(&view)
            .title(gettext("Selected Machines"))
            .tag("several")
            .build();
        page.insert_action_group("selection", Some(&group));
        Self {
            page,
            status,
            group,
        }
    }

    /// The page.
    pub fn widget(&self) -> &adw::NavigationPage {
        &self.page
    }

    /// The actions.
    pub fn actions(&self) -> &gio::SimpleActionGroup {
        &self.group
    }

    /// Says how many machines are selected, how many of them can be started or resumed, and how many run.
    pub fn show(&self, selected: usize, startable: usize, running: usize) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.status.set_title(&ngettext_with(
            "{number} Machine Selected",
            "{number} Machines Selected",
            number(selected),
            &[],
        ));
        let running_now = match running {
            0 => gettext("None of them is running."),
            _ => ngettext_with(
                "{number} of them is running.",
                "{number} of them are running.",
                number(running),
                &[],
            ),
        };
        self.status.set_description(Some(&running_now));
        for (name, count) in [("start", startable), ("shut-down", running)] {
            let action = self
                .group
                .lookup_action(name)
                .and_downcast::<gio::SimpleAction>();
            if let Some(action) = action {
                action.set_enabled(count > 0);
            }
        }
    }
}

/// The menu over the list while several machines are selected.
pub fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_Start")), Some("selection.start"));
    menu.append(Some(&gettext("Shut Do_wn")), Some("selection.shut-down"));
    menu
}
