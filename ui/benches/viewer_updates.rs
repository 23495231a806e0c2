//! Full-screen updates per second through the window's own viewer, from the guest's drawing to the screen, and what that costs by thread.
//!
//! `cargo bench -p guesthouse-ui --bench viewer_updates`; on this session's display, or without one under a virtual display, where the
//! processor does a graphics card's work. `GSK_RENDERER` chooses another renderer of the toolkit.

use std::{
    cell::Cell,
    collections::BTreeMap,
    env, fs,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use guesthouse_engine::{
    display::Surface,
    input::{InputEvent, InputSink},
    remote::{Options, RemoteServer},
};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, more, subject};
use guesthouse_ui::display::{Connection, Viewer, ViewerInput};
use relm4::adw;
use relm4::gtk::{self, glib, prelude::*, subclass::prelude::ObjectSubclassIsExt};
use relm4::prelude::*;
use rustix::time::{ClockId, clock_gettime};

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
/// Updates per second that the guest draws.
const RATE: u32 = 60;
/// Until the window has its size and its first picture.
const SETTLING: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);
/// What the program's threads are for, but the guest's.
const PARTS: [&str; 4] = [
    "the toolkit's thread",
    "the server's threads",
    "the session's threads",
    "other threads (of the renderer)",
];
const VIRTUAL_DISPLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build-aux/virtual-display");

struct Nowhere;

impl InputSink for Nowhere {
    fn input(&self, _event: InputEvent) {}
}

/// Draws every pixel anew, [`RATE`] times a second, and counts it.
fn draw(surface: &Surface, drawn: &AtomicU32) {
    let pictures: Vec<Vec<u32>> = [0, 0x01_0101]
        .map(|change| {
            (0..HEIGHT)
                .flat_map(|y| {
                    (0..WIDTH).map(move |x| (((x * 7 + y * 3) * 0x0305) ^ change) & 0xff_ffff)
                })
                .collect()
        })
        .into();
    let start = Instant::now();
    for (step, picture) in (0..).zip(pictures.iter().cycle()) {
        let due = start + Duration::from_secs(1) * step / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        surface.draw(|frame| {
            for (y, row) in (0..HEIGHT).zip(picture.chunks(WIDTH as usize)) {
                frame.draw_row(0, y, row);
            }
        });
        drawn.fetch_add(1, Ordering::Relaxed);
    }
}

/// Processor time so far by what the threads are for.
fn threads_time() -> anyhow::Result<BTreeMap<&'static str, Duration>> {
    let mut sums = BTreeMap::new();
    let main = std::process::id().to_string();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let name = fs::read_to_string(task.path().join("comm"))?;
        let part = match name.trim_end() {
            _ if task.file_name() == *main => "the toolkit's thread",
            "guest" => "the guest's drawing (not ours)",
            name if name.starts_with("viewer-") => "the server's threads",
            name if name.contains("tokio") || name.contains("relm4") => "the session's threads",
            _ => "other threads (of the renderer)",
        };
        let statistics = fs::read_to_string(task.path().join("schedstat"))?;
        let time = statistics.split(' ').next().unwrap_or("0").parse()?;
        *sums.entry(part).or_default() += Duration::from_nanos(time);
    }
    Ok(sums)
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

mod imp {
    use std::cell::Cell;
    use std::time::Duration;

    use relm4::gtk::{self, glib, prelude::*, subclass::prelude::*};

    #[derive(Default)]
    pub struct Meter {
        pub pictures: Cell<u32>,
        pub building: Cell<Duration>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Meter {
        const NAME: &'static str = "GuesthouseBenchMeter";
        type Type = super::Meter;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
        }
    }

    impl ObjectImpl for Meter {
        fn dispose(&self) {
            while let Some(child) = self.obj().first_child() {
                child.unparent();
            }
        }
    }

    impl WidgetImpl for Meter {
        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let began = super::thread_time();
            self.parent_snapshot(snapshot);
            let took = super::thread_time().saturating_sub(began);
            self.building.set(self.building.get() + took);
            self.pictures.set(self.pictures.get() + 1);
        }
    }
}

glib::wrapper! {
    /// Around the viewer: counts when it has something new to show, and the time in which it hands that to the toolkit.
    pub struct Meter(ObjectSubclass<imp::Meter>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

/// Lets the toolkit work.
fn run_for(time: Duration) {
    let done = Rc::new(Cell::new(false));
    let this = Rc::clone(&done);
    glib::timeout_add_local_once(time, move || this.set(true));
    while !done.get() {
        glib::MainContext::default().iteration(true);
    }
}

fn measure() -> anyhow::Result<[f64; 8]> {
    adw::init()?;
    let surface = Arc::new(Surface::new(WIDTH, HEIGHT));
    let options = Options::default();
    let server = RemoteServer::new(Arc::clone(&surface), Arc::new(Nowhere), "bench", options);
    let viewer = Viewer::builder().launch(()).detach();
    let meter: Meter = glib::Object::new();
    viewer.widget().set_parent(&meter);
    let window = gtk::Window::builder()
        .child(&meter)
        .decorated(false)
        .default_width(WIDTH.try_into()?)
        .default_height(HEIGHT.try_into()?)
        .build();
    window.present();
    viewer.emit(ViewerInput::Connect(Connection::Local(
        server.connect_looker()?,
    )));
    let drawn = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&drawn);
    thread::Builder::new()
        .name("guest".into())
        .spawn(move || draw(&surface, &counted))?;
    run_for(SETTLING);
    let frames = Rc::new(Cell::new(0));
    let clock = meter.frame_clock().context("the window is not shown")?;
    let counted = Rc::clone(&frames);
    clock.connect_after_paint(move |_| counted.set(counted.get() + 1));
    meter.imp().pictures.set(0);
    meter.imp().building.set(Duration::ZERO);
    let (start, before, drawn_before) = (
        Instant::now(),
        threads_time()?,
        drawn.load(Ordering::Relaxed),
    );
    run_for(MEASURED);
    let (took, after) = (start.elapsed().as_secs_f64(), threads_time()?);

    let renderer = window.renderer().context("the window is not drawn")?;
    let scale = window.surface().map_or(1.0, |surface| surface.scale());
    eprintln!(
        "shown at {}x{} times {scale} on {} by {}, {:.1} frames a second",
        meter.width(),
        meter.height(),
        WidgetExt::display(&window).name(),
        renderer.type_().name(),
        f64::from(frames.get()) / took,
    );
    let pictures = f64::from(meter.imp().pictures.get());
    let mut parts = [0.0; PARTS.len()];
    let mut ours = 0.0;
    for (part, used) in after {
        let used = used.saturating_sub(before.get(part).copied().unwrap_or_default());
        if let Some(place) = PARTS.iter().position(|name| *name == part) {
            parts[place] = used.as_secs_f64() / took * 100.0;
            ours += used.as_secs_f64();
        }
    }
    let [toolkit, server, session, other] = parts;
    let drawn = drawn.load(Ordering::Relaxed) - drawn_before;
    let building = meter.imp().building.get().as_secs_f64();
    Ok([
        f64::from(drawn) / took,
        pictures / took,
        ours / pictures.max(1.0) * 1000.0,
        building / pictures.max(1.0) * 1000.0,
        toolkit,
        server,
        session,
        other,
    ])
}

fn main() -> anyhow::Result<ExitCode> {
    if ["WAYLAND_DISPLAY", "DISPLAY"]
        .iter()
        .all(|name| env::var_os(name).is_none())
    {
        let mut command = Command::new(VIRTUAL_DISPLAY);
        command
            .arg(env::current_exe()?)
            .args(env::args_os().skip(1));
        return Err(command.env("GEOMETRY", "1920x1200").exec().into());
    }
    let name = format!("the window's viewer, {WIDTH}x{HEIGHT}");
    let [toolkit, server, session, other] =
        PARTS.map(|part| less(format!("{name}: {part}"), Unit::PercentOfProcessor));
    let mut harness = Harness::from_arguments();
    harness.measure(
        Needs::Nothing,
        [
            more(format!("{name}: drawn by the guest"), Unit::PerSecond),
            more(format!("{name}: shown by the window"), Unit::PerSecond),
            less(
                format!("{name}: processor time for each shown"),
                Unit::Milliseconds,
            ),
            less(
                format!("{name}: of that the viewer's own"),
                Unit::Milliseconds,
            ),
            toolkit,
            server,
            session,
            other,
        ],
        1,
        vec![subject("Guesthouse's viewer", measure)],
    );
    Ok(harness.finish())
}
