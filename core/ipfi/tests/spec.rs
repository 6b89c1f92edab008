//! What SPEC.md says of payloads, descriptions and fingerprints is what happens.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "msgpack"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::trivially_copy_pass_by_ref,
    reason = "a test"
)]

use std::collections::BTreeMap;

use ipfi::{Bytes, Callback, Codec, Interface, Receiver, Sender, Wire, WireOptions};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SPEC: &str = include_str!("../../proto/SPEC.md");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Metres(f64);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Figure {
    Nothing,
    Circle(f64),
    Line(Point, Point),
    Rectangle { width: u32, height: u32 },
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Term {
    Number(i64),
    Sum(Box<Term>, Box<Term>),
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".into() } else { bytes.iter().map(|b| format!("{b:02x}")).collect() }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The rows of the table whose head begins like this: cells without backquotes.
fn table(head: &str) -> Vec<Vec<String>> {
    let (_, rest) = SPEC.split_once(head).expect("there is such a table");
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    rows.map(|row| row.trim_matches('|').split(" | ").map(cell).collect()).collect()
}

#[test]
fn payloads_are_written_and_read_like_this() {
    let mut differ = false;
    let mut rows = table("| type | value | MessagePack | bincode |").into_iter();
    macro_rules! check {
        ($($type:ty = $value:expr;)*) => { $({
            let value: $type = $value;
            let [mut pack, mut bin] = [Vec::new(), Vec::new()];
            Codec::MessagePack.encode(&value, &mut pack).unwrap();
            Codec::Bincode.encode(&value, &mut bin).unwrap();
            assert_eq!(Codec::MessagePack.decode::<$type>(&pack).as_ref(), Ok(&value));
            assert_eq!(Codec::Bincode.decode::<$type>(&bin).as_ref(), Ok(&value));
            let here = [stringify!($type), stringify!($value), &hex(&pack), &hex(&bin)];
            let row = rows.next().unwrap_or_default();
            if row != here { println!("instead of {}", row.join(" | ")); differ = true; }
            println!("| `{}` |", here.join("` | `"));
        })* };
    }
    check! {
        () = ();
        (bool, Option<bool>, Option<bool>) = (true, None, Some(false));
        (i64,) = (-1,);
        (i64, u64, i16) = (300, 300, -300);
        (u8, i8, u32, u64) = (200, -100, 70_000, u64::MAX);
        (i128,) = (-2,);
        (f32, f64) = (1.5, -0.5);
        (String, char) = ("Grüße".into(), 'é');
        (Bytes, Vec<u8>) = (vec![1, 2, 255].into(), vec![1, 2, 255]);
        (Vec<u16>, [u16; 2]) = (vec![1, 1000], [1, 1000]);
        (BTreeMap<String, u32>,) = ([("a".to_owned(), 1)].into(),);
        (Point, Metres, Marker) = (Point { x: 1.0, y: 2.0 }, Metres(3.0), Marker);
        Vec<Figure> = vec![Figure::Nothing, Figure::Circle(1.0)];
        (Figure,) = (Figure::Line(Point { x: 1.0, y: 2.0 }, Point { x: 1.0, y: 2.0 }),);
        (Figure,) = (Figure::Rectangle { width: 3, height: 4 },);
        (Result<u8, String>,) = (Err("no".into()),);
    }
    assert!(!differ, "what was to be there is printed above");
    assert_eq!(rows.next(), None);
    // What is accepted too.
    let pack = Codec::MessagePack;
    assert_eq!(pack.decode(&unhex("92 01 cb4000000000000000")), Ok(Point { x: 1.0, y: 2.0 }));
    let other_order = unhex("83 a179 02 a17a 07 a178 01");
    assert_eq!(pack.decode(&other_order), Ok(Point { x: 1.0, y: 2.0 }));
    assert_eq!(pack.decode(&unhex("c0")), Ok(Marker));
    assert_eq!(pack.decode(&unhex("c4 02 0102")), Ok(vec![1u8, 2]));
    assert_eq!(pack.decode(&unhex("92 01 02")), Ok(Bytes::from(vec![1u8, 2])));
    assert_eq!(pack.decode(&unhex("ca 3fc00000")), Ok(1.5f64));
    assert_eq!(pack.decode(&unhex("d3 0000000000000001")), Ok(1u8));
    let rectangle = Figure::Rectangle { width: 3, height: 4 };
    assert_eq!(pack.decode(&unhex("81 a952656374616e676c65 92 03 04")), Ok(rectangle));
}

/// FNV-1a, from the words of the specification.
fn fnv(tokens: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for token in tokens.split(' ') {
        for byte in token.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[tokio::test]
async fn fingerprints_are_made_like_this() {
    let offers = Interface::new()
        .procedure("1", || ())
        .procedure("2", |a: i64, b: i32| i64::from(b) + a)
        .procedure("3", |name: String| format!("Hello, {name}!"))
        .procedure("4", |a: u8, b: i8, c: u16, d: f32, e: bool, f: char| (a, b, c, d, e, f))
        .procedure("5", |bytes: Bytes, list: Vec<u8>| (bytes, list))
        .procedure("6", |point: Option<Point>| point.map(|point| Metres(point.x)))
        .procedure("7", |figures: Vec<Figure>| figures.into_iter().next().ok_or(Marker))
        .procedure("8", |map: BTreeMap<String, [u32; 5]>| map.len() as u64)
        .procedure("9", |term: Term| term)
        .procedure("10", |numbers: Receiver<u32>, to: Sender<Point>| drop((numbers, to)))
        .procedure("11", |n: u32| Callback::<(u32,), u32>::new(move |m: u32| n + m));
    let (wire, _other) = Wire::pair(Interface::new(), offers);
    let description = wire.describe(&[]).await.unwrap();
    let (_, rest) = SPEC.split_once("```fingerprint\n").unwrap();
    let lines: Vec<&str> = rest.split_once("```").unwrap().0.lines().map(str::trim).collect();
    let rows = lines.as_chunks::<3>().0;
    for ([signature, tokens, hash], procedure) in rows.iter().zip(&description.procedures) {
        assert_eq!(*signature, procedure.signature);
        assert_eq!(*hash, format!("{:016x}", procedure.fingerprint), "{signature}");
        assert_eq!(fnv(tokens), procedure.fingerprint, "{signature}");
    }
    assert_eq!(rows.len(), description.procedures.len());
}

fn subject() -> Interface {
    Interface::new()
        .procedure("greet", |name: String| format!("Hello, {name}!"))
        .procedure("hello", || ())
        .procedure("sum", async |mut numbers: Receiver<u32>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += n;
            }
            sum
        })
        .procedure("count", async |to: u32, numbers: Sender<u32>| {
            for n in 1..=to {
                let _ = numbers.send(n).await;
            }
        })
        .procedure("twice", async |f: Callback<(u32,), u32>, x: u32| {
            let once = f.call((x,)).await?;
            Ok::<u32, ipfi::Fault>(f.call((once,)).await?)
        })
        .procedure("adder", |n: u32| Callback::<(u32,), u32>::new(move |m: u32| n + m))
}

#[tokio::test]
async fn the_conversation_takes_place() {
    let (_, rest) = SPEC.split_once("```conversation\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let _wire = WireOptions::new().codec(Codec::MessagePack).spawn(server, subject());
    for line in block.lines().filter(|line| !line.is_empty()) {
        println!("{line}");
        let code = line.split('#').next().unwrap();
        let bytes = unhex(&code[1..]);
        if line.starts_with('<') {
            client.write_all(&bytes).await.unwrap();
        } else {
            let mut answer = vec![0; bytes.len()];
            let wait = std::time::Duration::from_secs(10);
            let read = tokio::time::timeout(wait, client.read_exact(&mut answer)).await;
            read.expect("as many bytes come as the specification has").unwrap();
            assert_eq!(hex(&answer), hex(&bytes));
        }
    }
    // Nothing else comes before the end that the client causes.
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(hex(&rest), "-");
}
