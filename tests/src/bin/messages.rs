//! Prints the template of the window's messages, from which translations are made: see `build-aux/translations`.

use std::io::Write as _;
use std::path::Path;

use guesthouse_tests::words;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/src");
    std::io::stdout().write_all(&words::template(&words::messages(&folder)?)?)?;
    Ok(())
}
