//! Help, completions, the man page.

use crate::common::run;

fn ok(arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), arguments, None);
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
    done.out
}

#[test]
fn help_is_as_reviewed() {
    insta::assert_snapshot!(ok(&["--help"]));
}

#[test]
fn help_of_call_is_as_reviewed() {
    insta::assert_snapshot!(ok(&["call", "--help"]));
}

#[test]
fn completions_and_man_page() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(&["completions", shell]).contains("ipfi"), "{shell}");
    }
    let man = ok(&["man"]);
    assert!(man.contains(".TH") && man.contains("Exit codes"), "{man}");
}

#[test]
fn no_colour_and_no_progress_but_on_a_terminal() {
    for help in ["--help", "man"] {
        assert!(!ok(&[help]).contains('\u{1b}'), "{help}");
    }
}
