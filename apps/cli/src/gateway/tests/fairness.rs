//! Clients that want more than the line carries get the same share of it.

use std::{collections::BTreeMap, time::Duration};

use ipfi::proto::{CallOptions, Direction, Handle};

use super::{
    super::hub::WhileDown,
    world::{RATE, World},
};

/// Spread of shares around their mean, as a part of it.
fn spread(shares: &[f64]) -> f64 {
    let mean = shares.iter().sum::<f64>() / f64::from(u32::try_from(shares.len()).unwrap());
    shares.iter().map(|share| (share - mean).abs() / mean).fold(0.0, f64::max)
}

#[test]
fn two_hundred_clients_of_a_serial_line_get_the_same() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let keys: Vec<_> = (0..200).map(|_| world.join()).collect();
    let mut served = BTreeMap::new();
    let minutes = 2;
    for _ in 0..minutes * 600 {
        // Some have many small calls, some few large ones, all more than there is room for.
        for (n, key) in keys.iter().enumerate() {
            let (at_once, size) = [(1, 200), (4, 40), (16, 120), (2, 400)][n % 4];
            let done = world.client(*key).answers.len();
            assert_eq!(world.client(*key).failures.len(), 0);
            let made = served.entry(*key).or_insert(0);
            while *made < done + at_once {
                world.call(*key, "echo", &vec![0; size]);
                *made += 1;
            }
        }
        world.run(Duration::from_millis(100));
    }
    let share = |key: &u64| {
        let bytes: usize =
            world.clients[key].answers.values().map(|answer| answer.len() + 16).sum();
        f64::from(u32::try_from(bytes).unwrap())
    };
    let shares: Vec<_> = keys.iter().map(share).collect();
    let total: f64 = shares.iter().sum();
    let spread = spread(&shares);
    println!("{total:.0} bytes in {minutes} minutes, spread {:.1} %", spread * 100.0);
    assert!(spread < 0.2, "{spread}: {shares:?}");
    // And the line was busy all the while.
    assert!(total > 0.8 * 11_520.0 * 60.0 * f64::from(minutes), "{total}");
}

/// Though all the calls that are under way would fit in the queue below.
#[test]
fn who_makes_many_calls_at_once_gets_no_more_than_who_makes_few() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let keys: Vec<_> = (0..40).map(|_| world.join()).collect();
    let mut made = vec![0; keys.len()];
    for _ in 0..2000 {
        for ((n, key), made) in keys.iter().enumerate().zip(&mut made) {
            let at_once = if n % 4 == 0 { 16 } else { 2 };
            while *made < world.client(*key).answers.len() + at_once {
                world.call(*key, "echo", &[0; 20]);
                *made += 1;
            }
        }
        world.run(Duration::from_millis(10));
    }
    let calls = |key| u32::try_from(world.clients[key].answers.len()).unwrap();
    let shares: Vec<_> = keys.iter().map(|key| f64::from(calls(key))).collect();
    let spread = spread(&shares);
    println!("spread {:.1} %", spread * 100.0);
    assert!(spread < 0.2, "{spread}: {shares:?}");
}

#[test]
fn a_client_of_many_streams_gets_no_more_than_one_of_few() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let (greedy, modest) = (world.join(), world.join());
    world.run(Duration::from_millis(100)); // they say hello
    let mut streams = BTreeMap::new();
    for (key, count) in [(greedy, 20), (modest, 1)] {
        for _ in 0..count {
            let stream = world.client(key).engine().open_stream(Direction::Outgoing).unwrap();
            let handles = [Handle::Stream(stream)];
            world.call_with(key, "eat", b"", &handles, CallOptions::default());
            streams.insert((key, stream), 0_usize);
        }
    }
    for _ in 0..600 {
        for ((key, stream), sent) in &mut streams {
            while world.client(*key).engine().send_item(*stream, &[0; 50]).is_ok() {
                *sent += 51;
            }
        }
        world.run(Duration::from_millis(100));
    }
    let of = |wanted| {
        let sent: usize =
            streams.iter().filter(|((key, _), _)| *key == wanted).map(|(_, sent)| *sent).sum();
        f64::from(u32::try_from(sent).unwrap())
    };
    let ratio = of(greedy) / of(modest);
    // What is in windows and not on the line yet is more for the greedy one.
    assert!(ratio < 1.3, "{ratio}");
}

#[test]
fn a_newcomer_does_not_wait_for_all_that_others_have_to_say() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let busy = world.join();
    for _ in 0..30 {
        world.call(busy, "echo", &[0; 1000]);
    }
    world.run(Duration::from_millis(200));
    let key = world.join();
    let call = world.call(key, "echo", b"hello");
    let begun = world.now;
    world.until(|world| world.client(key).answers.contains_key(&call));
    let took = world.now - begun;
    assert!(took < Duration::from_millis(600), "{took:?} where 30 calls take 2.6 s");
}

/// Questions of a few bytes leave the line to the device idle; what it has to say fills the other one.
#[test]
fn who_asks_much_at_once_is_told_no_more_than_who_asks_little() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let keys: Vec<_> = (0..16).map(|_| world.join()).collect();
    let mut made = vec![0; keys.len()];
    let mut seconds = |world: &mut World, seconds: u32| {
        let had: Vec<_> = keys.iter().map(|key| world.clients[key].answers.len()).collect();
        for _ in 0..seconds * 100 {
            for ((n, key), made) in keys.iter().enumerate().zip(&mut made) {
                let at_once = if n % 4 == 0 { 16 } else { 2 };
                while *made < world.client(*key).answers.len() + at_once {
                    world.call(*key, "tell", &[100]);
                    *made += 1;
                }
            }
            world.run(Duration::from_millis(10));
        }
        let now = keys.iter().map(|key| world.clients[key].answers.len());
        let gained = now.zip(had).map(|(now, had)| u32::try_from(now - had).unwrap());
        gained.map(f64::from).collect::<Vec<_>>()
    };
    seconds(&mut world, 5); // nothing is known of the procedure
    let shares = seconds(&mut world, 60);
    let (spread, total) = (spread(&shares), shares.iter().sum::<f64>() * 1000.0);
    println!("{total:.0} bytes in a minute, spread {:.1} %", spread * 100.0);
    assert!(spread < 0.1, "{spread}: {shares:?}");
    assert!(total > 0.93 * f64::from(RATE) * 60.0, "{total}");
}

/// Beside answers that fill the line for seconds.
#[test]
fn who_asks_little_does_not_wait_for_long_answers() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let (greedy, modest) = (world.join(), world.join());
    world.run(Duration::from_millis(100));
    for _ in 0..20 {
        world.call_with(greedy, "tell", &[255, 10], &[], CallOptions::default());
    }
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        world.run(Duration::from_millis(370));
        let begun = world.now;
        let call = world.call(modest, "echo", b"hello");
        world.until(|world| world.client(modest).answers.contains_key(&call));
        longest = longest.max(world.now - begun);
    }
    assert!(longest < Duration::from_millis(300), "{longest:?} beside answers of 2.2 s");
}

/// Answers that take their time are not waited for by others.
#[test]
fn a_device_that_thinks_is_asked_all_the_same() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let (patient, busy) = (world.join(), world.join());
    world.run(Duration::from_millis(100));
    for _ in 0..20 {
        world.call(patient, "hold", b"");
    }
    world.until(|world| world.device().held.len() == 20);
    assert!(world.now.as_micros() < 2_000_000, "{:?}", world.now);
    let mut made = 0;
    for _ in 0..1000 {
        while made < world.client(busy).answers.len() + 4 {
            world.call(busy, "tell", &[100]);
            made += 1;
        }
        world.run(Duration::from_millis(10));
    }
    let told = 1000 * world.client(busy).answers.len();
    assert!(told > 95_000, "{told} of 115,200 bytes");
}
