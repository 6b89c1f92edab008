//! Two reliable links over a line that does what the bytes say: what is read was written.

use std::time::Duration;

use ipfi_arq::{Config, Fec, Instant, Link, State};

struct Side {
    link: Link,
    wire: Vec<u8>,
    written: Vec<u8>,
    read: Vec<u8>,
    finished: bool,
    saw_fin: bool,
}

fn carry(now: Instant, sides: &mut [Side; 2], from: usize, count: usize, piece: usize) {
    let mut buf = vec![0; piece.max(1)];
    while sides[from].wire.len() < count {
        let sent = sides[from].link.poll_transmit(now, &mut buf);
        if sent == 0 {
            break;
        }
        sides[from].wire.extend_from_slice(&buf[..sent]);
    }
    let count = count.min(sides[from].wire.len());
    let bytes: Vec<u8> = sides[from].wire.drain(..count).collect();
    for bytes in bytes.chunks(piece.max(1)) {
        sides[1 - from].link.receive(now, bytes);
    }
}

fn read(side: &mut Side, count: usize) {
    let mut buf = vec![0; count + 1];
    match side.link.read(&mut buf) {
        Ok(Some(0)) => side.saw_fin = true,
        Ok(Some(count)) => side.read.extend_from_slice(&buf[..count]),
        Ok(None) | Err(_) => {}
    }
}

fn check(sides: &[Side; 2]) {
    for (this, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        assert!(other.written.starts_with(&this.read), "read what was not written");
        assert!(!this.saw_fin || (other.finished && this.read.len() == other.written.len()));
        if this.link.is_flushed() {
            let arrived = other.read.len() + other.link.readable();
            assert_eq!(arrived, this.written.len(), "acknowledged and not received");
        }
    }
}

/// Does what `data` says; panics when something is wrong.
pub fn run(data: &[u8]) {
    let Some((&kind, mut rest)) = data.split_first() else { return };
    let mut now = Instant::from_micros(0);
    let mut sides = [5, 6].map(|id| {
        let mut config = Config::serial((kind & 1 == 0).then_some(11_520));
        config.fec = match kind >> 1 & 3 {
            0 => Fec::Auto,
            1 => Fec::Off,
            2 => Fec::Light,
            _ => Fec::Strong,
        };
        let link = Link::new(config, id, now);
        let (wire, written, read) = (Vec::new(), Vec::new(), Vec::new());
        Side { link, wire, written, read, finished: false, saw_fin: false }
    });
    while let [op, a, b, tail @ ..] = rest {
        rest = tail;
        let (side, a, b) = (usize::from(op >> 7), usize::from(*a), *b);
        let this = &mut sides[side];
        match op & 7 {
            0 => {
                let bytes = vec![b; a * 8];
                if let Ok(count) = this.link.write(&bytes) {
                    this.written.extend_from_slice(&bytes[..count]);
                }
            }
            1 => read(this, a * 4),
            2 if a == 0 => {
                this.link.finish();
                this.finished = true;
            }
            3 if a < this.wire.len() => this.wire[a] ^= b,
            4 if a < this.wire.len() => drop(this.wire.remove(a)),
            5 if a <= this.wire.len() => this.wire.insert(a, b),
            6 => {
                now = now + Duration::from_micros(u64::from(b) * 300);
                for side in &mut sides {
                    side.link.handle_timeout(now);
                }
            }
            _ => carry(now, &mut sides, side, a * 8, usize::from(b)),
        }
        check(&sides);
    }
    // On a good line all is delivered, unless the ends have given each other up.
    for _ in 0..400 {
        for side in 0..2 {
            carry(now, &mut sides, side, 4000, 500);
            read(&mut sides[side], 2000);
            sides[side].link.finish();
            sides[side].finished = true;
        }
        now = now + Duration::from_millis(50);
        for side in &mut sides {
            side.link.handle_timeout(now);
        }
        check(&sides);
        let over = |side: &Side| side.saw_fin || matches!(side.link.state(), State::Failed(_));
        if sides.iter().all(over) {
            break;
        }
    }
    for side in &sides {
        assert!(side.saw_fin || matches!(side.link.state(), State::Failed(_)), "{:?}", side.link);
    }
}
