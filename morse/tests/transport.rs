//! `morse:` on a simulated air, in virtual time.
#![cfg(feature = "transport")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use ipfi_morse::transport::{Air, Morse};
use ipfi_transport::{BoxStream, Registry, Value, conformance::Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn on(air: &Air) -> Registry {
    Registry::new().with(Morse::on(air.clone()))
}

async fn pair(registry: &Registry, options: &str) -> (BoxStream, BoxStream) {
    let (here, there) = (format!("morse:{options}"), format!("morse-listen:{options}"));
    let mut listener = registry.listen(&there.parse().unwrap()).await.unwrap();
    let here = here.parse().unwrap();
    let (here, there) = tokio::join!(registry.dial(&here), listener.accept());
    (here.unwrap(), there.unwrap())
}

/// Sends bytes one way while the other way is silent.
async fn carry(from: &mut BoxStream, to: &mut BoxStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    let send = async {
        from.write_all(bytes).await?;
        from.flush().await
    };
    tokio::try_join!(send, to.read_exact(&mut heard)).unwrap();
    assert!(heard == bytes, "wrong bytes");
}

#[tokio::test(start_paused = true)]
async fn conforms() {
    let registry = on(&Air::new());
    let suite = Suite::new().volume(600).patience(Duration::from_secs(3600));
    suite.run_listener(&registry, &"morse-listen:,mode=cable".parse().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn conforms_where_both_send_at_once() {
    let registry = on(&Air::new());
    let suite = Suite::new().volume(600).patience(Duration::from_secs(3600));
    suite.run_listener(&registry, &"morse-listen:,duplex=full".parse().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn both_dial_and_send_at_once() {
    let registry = on(&Air::new());
    let [low, high] =
        ["morse:,duplex=low", "morse:,duplex=high"].map(|address| address.parse().unwrap());
    let (mut low, mut high) = tokio::try_join!(registry.dial(&low), registry.dial(&high)).unwrap();
    carry(&mut low, &mut high, &[1; 300]).await;
    carry(&mut high, &mut low, &[2; 300]).await;
}

#[tokio::test(start_paused = true)]
async fn a_band_holds_a_link_and_another_band_another() {
    let air = Air::new();
    let registry = on(&air);
    let (mut a, mut b) = pair(&registry, ",mode=fast,band=300-2700").await;
    let (mut c, mut d) = pair(&registry, ",mode=cable,band=4000-12000").await;
    let time = async |from: &mut BoxStream, to: &mut BoxStream, count: usize| {
        let since = tokio::time::Instant::now();
        carry(from, to, &vec![1; count]).await;
        since.elapsed().as_secs_f64()
    };
    let alone = (time(&mut a, &mut b, 100).await, time(&mut c, &mut d, 2000).await);
    let both = tokio::join!(time(&mut a, &mut b, 100), time(&mut c, &mut d, 2000));
    println!("alone {alone:?} s, at the same time {both:?} s");
    // Neither waits for the other, as two on the same band would.
    assert!(both.0 < alone.0 + 3.0 && both.1 < alone.1 + 3.0, "{alone:?} {both:?}");
}

#[tokio::test(start_paused = true)]
async fn every_mode_carries_bytes_both_ways() {
    for (mode, count) in [("rescue", 8), ("room", 40), ("fast", 200), ("auto", 200)] {
        let since = tokio::time::Instant::now();
        let registry = on(&Air::new());
        let (mut here, mut there) = pair(&registry, &format!(",mode={mode},wpm=60")).await;
        let bytes: Vec<u8> = (0..count).map(|i: u8| i.wrapping_mul(37)).collect();
        carry(&mut here, &mut there, &bytes).await;
        carry(&mut there, &mut here, &bytes).await;
        println!("{mode}: {count} bytes each way in {:.1} s", since.elapsed().as_secs_f64());
    }
}

#[tokio::test(start_paused = true)]
async fn wires_follow_one_another() {
    let air = Air::new();
    let registry = on(&air);
    for round in 0..3_u8 {
        let (mut here, mut there) = pair(&registry, ",mode=cable").await;
        carry(&mut here, &mut there, &[round; 50]).await;
        here.shutdown().await.unwrap();
        let mut rest = Vec::new();
        there.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, []);
    }
}

#[tokio::test(start_paused = true)]
async fn two_pairs_share_an_air() {
    let air = Air::new();
    let registry = on(&air);
    let (mut a, mut b) = pair(&registry, ",mode=cable,channel=one").await;
    let (mut c, mut d) = pair(&registry, ",mode=cable,channel=two").await;
    let (first, second) = (vec![1; 700], vec![2; 700]);
    tokio::join!(carry(&mut a, &mut b, &first), carry(&mut c, &mut d, &second));
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_an_error_and_the_next_stream_is_clean() {
    let registry = on(&Air::new());
    let (mut here, mut there) = pair(&registry, ",mode=fast").await;
    here.write_all(&[7; 300]).await.unwrap();
    // In the midst of the first packet.
    tokio::time::sleep(Duration::from_millis(700)).await;
    there.abort();
    drop(there);
    let mut heard = [0; 1];
    let error = here.read(&mut heard).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    drop(here);
    let (mut here, mut there) = pair(&registry, ",mode=fast").await;
    carry(&mut here, &mut there, b"new").await;
    carry(&mut there, &mut here, b"and back").await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_finds_its_mode_sends_packets_for_it() {
    let registry = on(&Air::new());
    let (mut here, mut there) = pair(&registry, "").await;
    let since = tokio::time::Instant::now();
    carry(&mut here, &mut there, &[9; 4096]).await;
    let rate = 4096.0 / since.elapsed().as_secs_f64();
    println!("4 KiB from room to cable: {rate:.0} B/s");
    assert!(rate > 250.0, "{rate}");
}

#[tokio::test(start_paused = true)]
async fn the_meter_foresees_an_answer() {
    let registry = on(&Air::new());
    let (mut here, mut there) = pair(&registry, ",mode=room").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = |stream: &BoxStream, name: &str| {
        let value = stream.health().into_iter().find(|reading| reading.name == name)?.value;
        if let Value::Time(time) = value { Some(time.as_secs_f64()) } else { None }
    };
    assert_eq!(told(&here, "answer-in"), None);
    let since = tokio::time::Instant::now();
    here.write_all(&[1; 120]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (answer, sending) =
        (told(&here, "answer-in").unwrap(), told(&here, "sending-for").unwrap());
    let mut heard = [0; 120];
    there.read_exact(&mut heard).await.unwrap();
    let sent = since.elapsed().as_secs_f64() - 1.0;
    there.write_all(&[2; 64]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let hearing = told(&here, "hearing-for").unwrap();
    let asked = since.elapsed().as_secs_f64();
    here.read_exact(&mut heard[..64]).await.unwrap();
    let answered = since.elapsed().as_secs_f64();
    println!(
        "sent in {sent:.1} s, told {sending:.1}; answered in {answered:.1} s, told {answer:.1}"
    );
    for (real, told) in [(sent, sending), (answered - 1.0, answer), (answered - asked, hearing)] {
        assert!((real - told).abs() < 1.0, "{told} s were {real} s");
    }
}
