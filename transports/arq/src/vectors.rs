//! The vectors of `SPEC.md` are what this crate sends and understands.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use crate::config::{EscapeMap, Profile};
use crate::fec::{self, Kind};
use crate::frame::{Ack, Check, Done, Frame, Reset, Syn, is_syn};
use crate::framing;

const SENDER: u32 = 0x0403_0201;
const RECEIVER: u32 = 0x0807_0605;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn in_spec() -> BTreeMap<String, String> {
    let blocks = include_str!("../SPEC.md").split("```vector\n").skip(1);
    let lines = blocks.filter_map(|block| block.split("```").next()).flat_map(str::lines);
    lines
        .map(|line| {
            let (name, bytes) = line.split_once(' ').expect("a name and bytes");
            (name.to_string(), bytes.replace(' ', ""))
        })
        .collect()
}

fn on_line(frame: &[u8], escapes: EscapeMap) -> Vec<u8> {
    let mut wire = Vec::new();
    framing::encode(frame, escapes, &mut Vec::new(), &mut wire);
    let mut back = Vec::new();
    let map = (!escapes.is_empty()).then_some(escapes);
    assert!(framing::decode(&wire[..wire.len() - 1], map, &mut back));
    assert_eq!(back, frame);
    wire
}

fn made() -> BTreeMap<String, String> {
    let check = Check::session(SENDER, RECEIVER);
    let mut vectors = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| vectors.insert(name.to_string(), hex(bytes));

    let syn = Syn {
        version: 1,
        profile: 0,
        id: SENDER,
        heard: 0,
        max_payload: 1024,
        credit: 255,
        fec: false,
        escapes: 0,
        cookie: None,
    };
    let answer = Syn { heard: RECEIVER, fec: true, escapes: EscapeMap::XONXOFF.0, ..syn.clone() };
    for (name, syn) in [("syn", &syn), ("syn-answer", &answer)] {
        let mut bytes = Vec::new();
        syn.encode(&mut bytes, 0);
        assert!(is_syn(&bytes));
        assert_eq!(Syn::decode(&bytes).as_ref(), Some(syn));
        add(name, &bytes);
        add(&format!("{name}-line"), &on_line(&bytes, EscapeMap::CONTROLS));
    }

    let data = Frame {
        number: Some(0x1_0002),
        offset: Some(0x1_1234),
        payload: b"hello \x11\x00",
        ..Frame::default()
    };
    let ack = Ack { largest: 0x1_0103, next: 0x2_4321, credit: 200, bitmap: vec![0b1011, 0x80] };
    let both = Frame { ack: Some(ack.clone()), fin: true, poll: true, ..data.clone() };
    let only_ack = Frame { ack: Some(ack), ..Frame::default() };
    let ping = Frame { number: Some(7), poll: true, ..Frame::default() };
    for (name, frame) in [("data", data), ("data-ack-fin", both), ("ack", only_ack), ("ping", ping)]
    {
        let mut bytes = Vec::new();
        frame.encode(Profile::Serial, &check, &mut bytes);
        let back = Frame::decode(Profile::Serial, check.open(&bytes).unwrap()).unwrap();
        let mut again = Vec::new();
        back.encode(Profile::Serial, &check, &mut again);
        assert_eq!(again, bytes);
        add(name, &bytes);
        if name == "data" {
            add("data-line", &on_line(&bytes, EscapeMap::NONE));
            add("data-line-xonxoff", &on_line(&bytes, EscapeMap::XONXOFF));
            for (name, profile) in
                [("data-half-duplex", Profile::HalfDuplex), ("data-datagram", Profile::Datagram)]
            {
                let mut bytes = Vec::new();
                frame.encode(profile, &check, &mut bytes);
                add(name, &bytes);
            }
        }
    }

    let mut bytes = Vec::new();
    Reset { code: 7, reason: "no paper".into() }.encode(&check, &mut bytes);
    add("reset", &bytes);
    let mut bytes = Vec::new();
    fec::encode(Kind::Short, b"hello", &mut bytes);
    add("coded-short", &bytes);
    let mut bytes = Vec::new();
    Done::encode(&check, &mut bytes);
    add("done", &bytes);
    vectors
}

#[test]
fn the_specification_has_what_is_made() {
    let made = made();
    assert_eq!(in_spec(), made);
}
