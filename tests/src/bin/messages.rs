//! Prints the template of the program's messages, from which translations are made: see `build-aux/translations`.

use std::io::Write as _;
use std::path::Path;

use guesthouse_tests::words;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::io::stdout().write_all(&words::template(&words::of_program(&root)?)?)?;
    Ok(())
}
