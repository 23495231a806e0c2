//! One of the engine's fuzz targets under libFuzzer. `build-aux/fuzz` builds and calls it; `GUESTHOUSE_FUZZ_TARGET` says which, and
//! with `GUESTHOUSE_FUZZ_SEEDS` its seeds are written to that folder first. Without a target it lists all.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use guesthouse_engine::fuzzing::{TARGETS, Target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("GUESTHOUSE_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(if name.is_empty() { 0 } else { 2 });
    };
    if let Some(folder) = std::env::var_os("GUESTHOUSE_FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let file = Path::new(&folder).join(format!("seed-{number}"));
            std::fs::write(file, seed).expect("the seeds can be written");
        }
    }
    let _ = TARGET.set(target);
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(data);
    }
});
