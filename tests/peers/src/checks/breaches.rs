//! What breaks the protocol.

use anyhow::{Context, Result};

use super::List;
use crate::{
    Peer,
    raw::{HELLO, Raw, bind, call, frame, head, integer},
};

pub(super) fn add(list: &mut List) {
    list.check("breaches::hello", hello);
    list.check("breaches::frames", frames);
    list.check("breaches::calls", calls);
    list.check("breaches::streams", streams);
    list.check("breaches::handles", handles);
    list.check("breaches::noise", noise);
}

/// Each conversation ends with GOAWAY and one of the codes.
async fn end(peer: &Peer, conversations: Vec<(&str, Vec<u8>, &[u64])>) -> Result<()> {
    for (what, bytes, codes) in conversations {
        let outcome = async {
            let (mut raw, _) = Raw::greet(peer, &bytes).await?;
            // Whoever waits for more is not told that there will be none.
            raw.send(&[0; 64]).await?;
            raw.breaks(codes).await
        };
        outcome.await.with_context(|| what.to_owned())?;
    }
    Ok(())
}

/// After our hello, with procedure 0 bound.
fn after(name: &str, bytes: &[u8]) -> Vec<u8> {
    [&HELLO[..], &bind(0, name), bytes].concat()
}

async fn hello(peer: &Peer) -> Result<()> {
    let changed = |at: usize, byte: u8| {
        let mut hello = HELLO.to_vec();
        hello.splice(at..=at, [byte]);
        hello
    };
    end(
        peer,
        vec![
            ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), &[32]),
            ("another second byte", changed(1, 0xf2), &[32]),
            ("version 0", changed(2, 0), &[32, 33]),
            ("another codec", changed(3, 1), &[34]),
            ("a private codec", changed(3, 200), &[34]),
            ("exponent 15", changed(4, 0xf0), &[32]),
        ],
    )
    .await
}

async fn frames(peer: &Peer) -> Result<()> {
    let endless = [&[0xff; 9][..], &[0]].concat();
    end(
        peer,
        vec![
            ("a frame of 2^60 bytes", after("add", &[&[0x80; 8][..], &[0x10]].concat()), &[35]),
            ("a frame of 2^25 bytes", after("add", &integer(1 << 25)), &[35]),
            ("a length of ten bytes", after("add", &endless), &[32, 35]),
            ("a frame that ends in its fields", after("add", &[1, head::CANCEL]), &[32]),
            ("half an integer", after("add", &[2, head::PING, 0x80]), &[32]),
            ("more than the fields", after("add", &[4, head::PING, 1, 2, 3]), &[32]),
            ("an unknown flag", after("add", &[4, head::OPEN, 0, 0x80 >> 1 | 0x20, 0]), &[32]),
            (
                "ARGUMENTS with TOTAL",
                after("hang", &[5, head::OPEN, 0, 1, 0, 0x91, 4, head::ARGUMENTS, 0, 0x80, 1]),
                &[32],
            ),
            ("kind of target 3", after("add", &[5, head::OPEN, 0, 0x18, 0, 0x90]), &[32]),
            (
                "a name that is no text",
                [&HELLO[..], &frame(&[&[head::BIND, 0], &[0; 8], &[0xff, 0xfe]])].concat(),
                &[32],
            ),
            (
                "a name of 256 bytes",
                [&HELLO[..], &frame(&[&[head::BIND, 0], &[0; 8], &[b'x'; 256]])].concat(),
                &[32, 35],
            ),
            (
                "a text that is none",
                after("hang", &[3, 0, 0, 0x90, 6, head::GOAWAY, 0, 0xff, 0xfe, 0xff, 0xff]),
                &[32],
            ),
        ],
    )
    .await
}

async fn calls(peer: &Peer) -> Result<()> {
    end(
        peer,
        vec![
            (
                "a number in use",
                after("hang", &[call(0, 0, &[0x90]), call(0, 0, &[0x90])].concat()),
                &[32],
            ),
            (
                "a number beyond the limit",
                after("hang", &frame(&[&[head::OPEN], &integer(1 << 20), &[0, 0, 0x90]])),
                &[32, 35],
            ),
            (
                "a number of 2^30",
                after("hang", &frame(&[&[head::OPEN], &integer(1 << 30), &[0, 0, 0x90]])),
                &[32, 35],
            ),
            (
                "arguments after the last",
                after("hang", &[call(0, 0, &[0x90]), frame(&[&[head::ARGUMENTS, 0, 1]])].concat()),
                &[32],
            ),
            ("an answer to no call", after("add", &[2, 0x40, 0xc0]), &[32]),
            ("a result of no call", after("add", &[4, head::RESULT, 3, 0, 0xc0]), &[32]),
            ("an error of no call", after("add", &[4, head::ERROR, 0, 1, 14]), &[32]),
            ("numbers of procedures with a gap", after("add", &bind(2, "echo")), &[32]),
            ("a number of a procedure again", after("add", &bind(0, "echo")), &[32]),
        ],
    )
    .await
}

async fn streams(peer: &Peer) -> Result<()> {
    // OPEN 0 of `sum` with stream 0, from which the peer reads.
    let sum = |bytes: &[u8]| {
        let open = frame(&[&[head::OPEN, 0, 2, 0, 1, 1, 0x91, 0]]);
        after("sum", &[&open, bytes].concat())
    };
    let long = frame(&[&[0x80], &[0; 900]]).repeat(20_000);
    end(
        peer,
        vec![
            ("items on no stream", after("add", &[3, 0x80, 1, 0]), &[32]),
            ("credit for no stream", after("add", &[3, head::CREDIT, 0, 9]), &[32]),
            ("an end of no stream", after("add", &[3, head::END, 1, 0]), &[32]),
            ("credit from the producer", sum(&[3, head::CREDIT, 0, 9]), &[32]),
            ("a stop from the producer", sum(&[3, head::STOP, 0, 0]), &[32]),
            ("items after the end", sum(&[3, head::END, 0, 0, 3, 0x80, 1, 0]), &[32]),
            (
                "items between the parts of one",
                sum(&[4, head::ITEM, 0, 1, 5, 3, 0x80, 1, 0]),
                &[32],
            ),
            ("items cut short", sum(&[4, 0x80, 9, 0, 0]), &[32]),
            // Twenty times what any window is, as long as nobody adds up nothing.
            (
                "more items than credit",
                after(
                    "relay",
                    &[&frame(&[&[head::OPEN, 0, 2, 0, 2, 1, 4 + 2, 0x92, 0, 1]])[..], &long]
                        .concat(),
                ),
                &[36],
            ),
        ],
    )
    .await
}

async fn handles(peer: &Peer) -> Result<()> {
    let open = |handles: &[u8]| after("add", &frame(&[&[head::OPEN, 0, 2, 0], handles]));
    end(
        peer,
        vec![
            ("a handle of kind 3", open(&[1, 3]), &[32]),
            ("a stream twice", open(&[2, 1, 2]), &[32]),
            ("a callback twice", open(&[2, 4, 4]), &[32]),
            ("65 handles", open(&[&[65][..], &[0; 65]].concat()), &[32, 35]),
            (
                "a stream beyond the limit",
                open(&[&[1][..], &integer(4 * (1 << 20) + 1)].concat()),
                &[32, 35],
            ),
            ("a release of nothing", after("add", &[2, head::RELEASE, 9]), &[32]),
        ],
    )
    .await
}

/// Bytes that mean nothing, always the same, behind a good hello.
async fn noise(peer: &Peer) -> Result<()> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..5 {
        let mut bytes = HELLO.to_vec();
        bytes.extend((0..2000).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        }));
        // Whatever it meant, the end is a frame that is too long.
        bytes.extend([0xff; 8].iter().cycle().take(40 << 20 >> 10));
        bytes.extend([0xff; 16]);
        let (raw, _) = Raw::greet(peer, &bytes).await?;
        raw.breaks(&[32, 33, 35, 36, 37]).await.with_context(|| format!("round {round}"))?;
    }
    Ok(())
}
