//! The command line: what it prints and how it fails, as snapshots.
#![expect(clippy::expect_used, reason = "a test may panic")]

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `morse` with this standard input; what it printed, where, and its exit code.
fn morse(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_morse"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("ALSA_CONFIG_PATH", "/dev/null") // no sound, whatever the machine has
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("morse is built");
    // It may end without reading.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        text.push_str("! ");
        text.push_str(line);
        text.push('\n');
    }
    text + &format!("exit {}", output.status.code().expect("not killed"))
}

#[test]
fn encode_prints_dots_and_dashes() {
    insta::assert_snapshot!(morse(&["encode", "CQ", "de", "<SK>"], ""), @r"
    -.-. --.- / -.. . / ...-.-
    exit 0
    ");
    insta::assert_snapshot!(morse(&["encode", "-"], "sos 1\n\nz%\n"), @r"
    ... --- ... / .----

    --..
    ! morse: `%` (character 2 of the text) has no Morse code; leave it out or spell it; it is left out
    exit 0
    ");
}

#[test]
fn what_cannot_be_sent_is_named_with_the_way_out() {
    let cases: &[&[&str]] = &[
        &["encode", "50%"],
        &["encode", "<AR"],
        &["encode", "E", "--wpm", "0"],
        &["encode", "E", "--wpm", "10000"],
        &["encode", "E", "--farnsworth", "25"],
        &["encode", "E", "--tone", "0"],
        &["encode", "E", "--tone", "1e6"],
        &["encode", "E", "--tone", "100", "--wpm", "300"],
        &["encode", "E", "--weight", "90"],
        &["encode", "E", "--level", "3"],
        &["encode", "E", "--rate", "0"],
        &["encode", "E", "--air", "snr=200"],
        &["encode", "E", "-o", "/no/such/place.wav"],
        &["train", "--chars", "%"],
        &["train", "--chars", " "],
    ];
    let all: Vec<_> = cases.iter().map(|case| morse(case, "")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn clap_errors_end_with_2() {
    for case in [
        &["encode"][..],
        &["encode", "E", "--air", "snow=1"],
        &["encode", "E", "--pad", "x"],
        &["encode", "E", "--play", "-o", "x"],
        &["train", "--koch", "1"],
        &["sing"],
    ] {
        let printed = morse(case, "");
        assert!(printed.ends_with("exit 2"), "{case:?}: {printed}");
    }
}

#[test]
#[cfg(all(target_os = "linux", feature = "audio"))]
fn a_machine_without_sound_says_so_and_ends_with_3() {
    for case in [
        &["encode", "E", "--play"][..],
        &["devices"],
        &["train"],
        &["listen"],
        &["listen", "--json", "--device", "nonesuch"],
        &["encode", "E", "--play", "--device", "nonesuch"],
    ] {
        let printed = morse(case, "");
        let errors = printed.lines().filter(|line| line.starts_with("! ")).count();
        assert!(printed.ends_with("exit 3") && errors == 1, "{case:?}: {printed}");
    }
}

#[test]
fn training_scores_what_is_typed() {
    let lesson = ["train", "--koch", "2", "--length", "3", "-n", "3", "--show", "--seed", "3"];
    insta::assert_snapshot!(morse(&lesson, "mmm\n\nkm\n"));
}

#[test]
#[cfg(unix)]
fn an_interrupted_training_is_scored() {
    use std::io::{BufRead, BufReader, Read};

    let mut child = Command::new(env!("CARGO_BIN_EXE_morse"))
        .args(["train", "--chars", "E", "--length", "2", "--show"])
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("morse is built");
    let mut typed = child.stdin.take().expect("piped");
    typed.write_all(b"ee\n").expect("it reads");
    let mut shown = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("right") {
        line.clear();
        assert!(shown.read_line(&mut line).expect("text") > 0, "it ended");
    }
    // The next group has been shown: there is nothing to wait for but what is typed.
    shown.read_line(&mut line).expect("text");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(rest.contains("100 % of 2 characters right."), "{rest}");
}

/// A directory of its own, gone with it.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for temporary files")
}

fn path(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("plain").to_owned()
}

#[test]
fn what_is_encoded_is_decoded() {
    let directory = directory();
    let file = path(&directory, "cq.wav");
    let sent = ["encode", "cq de dl1abc <sk>", "-o", &file, "--rate", "8000"];
    assert_eq!(morse(&sent, ""), "exit 0");
    insta::assert_snapshot!(morse(&["decode", &file], ""), @r"
    CQ DE DL1ABC <SK>
    exit 0
    ");
    let json = morse(&["decode", &file, "--json"], "");
    let first = json.lines().next().unwrap_or_default();
    for field in [r#""code":"-.-.""#, r#""text":"C""#, r#""type":"character""#, r#""wpm":"#] {
        assert!(first.contains(field), "{field} in {first}");
    }
    assert_eq!(json.matches(r#""type":"character""#).count(), 11);
    assert_eq!(json.matches(r#""type":"space""#).count(), 3);
}

#[test]
fn other_languages_have_other_letters() {
    let directory = directory();
    let file = path(&directory, "oe.wav");
    assert_eq!(morse(&["encode", "BLÅ ØÆ", "-o", &file, "--rate", "8000"], ""), "exit 0");
    assert_eq!(morse(&["decode", &file], ""), "BLÅ ÖÄ\nexit 0");
    assert_eq!(morse(&["decode", &file, "--accents", "danish"], ""), "BLÅ ØÆ\nexit 0");
}

/// A WAV file of 16 bits and 8000 Hz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(u32::try_from(2 * samples.len()).expect("short").to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[test]
fn odd_recordings_are_silence_or_a_clear_error() {
    let directory = directory();
    let mut cut = wav(&[0; 100]);
    cut.truncate(100);
    let cases: &[(&str, Vec<u8>)] = &[
        ("empty.wav", Vec::new()),
        ("header.wav", wav(&[])[..20].to_vec()),
        ("cut.wav", cut),
        ("none.wav", wav(&[])),
        ("one.wav", wav(&[32767])),
        ("zero.wav", wav(&vec![0; 40_000])),
        ("clipped.wav", wav(&[i16::MAX, i16::MAX, i16::MIN, i16::MIN].repeat(10_000))),
        ("constant.wav", wav(&vec![i16::MAX; 40_000])),
        ("flac.wav", b"fLaC\0\0\0\x22\x10\0\x10\0\0\0".to_vec()),
        ("text.wav", b"Dear Sir, I beg to inform you".to_vec()),
    ];
    let mut all = String::new();
    for (name, bytes) in cases {
        let file = path(&directory, name);
        std::fs::write(&file, bytes).expect("a file");
        let printed = morse(&["decode", &file], "");
        all.extend([name, ":\n", &printed.replace(&file, name), "\n"]);
        let picture = path(&directory, "picture.png");
        let drawn = morse(&["plot", &file, "-o", &picture, "--width", "400"], "");
        assert_eq!(drawn.ends_with("exit 0"), printed.ends_with("exit 0"), "{name}: {drawn}");
    }
    let missing = morse(&["decode", "/no/such/file.wav"], "");
    insta::assert_snapshot!(all + "missing:\n" + &missing);
}

#[test]
fn a_picture_is_drawn() {
    let directory = directory();
    let (sound, picture) = (path(&directory, "sos.wav"), path(&directory, "sos.png"));
    let air = ["--rate", "8000", "--air", "snr=10"];
    assert_eq!(morse(&[&["encode", "SOS", "-o", &sound][..], &air].concat(), ""), "exit 0");
    assert_eq!(morse(&["plot", &sound, "-o", &picture], ""), "exit 0");
    assert!(std::fs::read(&picture).expect("the picture").starts_with(b"\x89PNG"));
    for wrong in [["--from", "100"], ["--from", "-1"], ["--to", "0"], ["--band", "9-8"]] {
        let printed = morse(&[&["plot", &sound, "-o", &picture][..], &wrong].concat(), "");
        assert!(printed.ends_with("exit 2"), "{wrong:?}: {printed}");
    }
}

#[test]
fn listening_to_a_file_prints_its_text() {
    let directory = directory();
    let file = path(&directory, "ee.wav");
    let fast = ["--wpm", "60", "--rate", "8000", "--pad", "0.5"];
    let sent = [&["encode", "PARIS PARIS", "-o", &file][..], &fast].concat();
    assert_eq!(morse(&sent, ""), "exit 0");
    assert_eq!(morse(&["listen", "--file", &file], ""), "PARIS PARIS\nexit 0");
}

#[test]
fn help_and_completions_and_man_page() {
    insta::assert_snapshot!("help", morse(&["--help"], ""));
    insta::assert_snapshot!("help_encode", morse(&["encode", "--help"], ""));
    insta::assert_snapshot!("help_decode", morse(&["decode", "--help"], ""));
    insta::assert_snapshot!("help_listen", morse(&["listen", "--help"], ""));
    insta::assert_snapshot!("help_plot", morse(&["plot", "--help"], ""));
    insta::assert_snapshot!("help_train", morse(&["train", "--help"], ""));
    for shell in ["bash", "zsh", "fish"] {
        assert!(morse(&["completions", shell], "").contains("morse"));
    }
    assert!(morse(&["man"], "").contains(".TH morse"));
    assert!(morse(&["man", "encode"], "").contains("\\fBsnr=DB\\fR\n"));
    assert!(morse(&["man", "send"], "").ends_with("! morse: there is no command `send`\nexit 2"));
}

#[test]
fn nobody_reading_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_morse"))
        .args(["encode", &"PARIS ".repeat(500), "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("morse is built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
