//! Where tests of other crates find the program.

use std::path::PathBuf;

/// The file named by `KONTIKI_PROGRAM`, or the one that was built with the test that asks.
///
/// Cargo tells a program's path to the tests of its own crate only; a build of the workspace puts it beside them.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("KONTIKI_PROGRAM") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test knows its file");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests are built into target/<profile>/deps");
    let path = folder.join(format!("kontiki{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "tests need the program: build the whole workspace, or name it in KONTIKI_PROGRAM; it is not at {}",
        path.display()
    );
    path
}
