//! What passes, and what happens when one side goes.

use std::time::Duration;

use ipfi::{
    Code, Priority, Started,
    proto::{CallOptions, Direction, Handle},
};

use super::{super::hub::WhileDown, world::World};

#[test]
fn calls_streams_and_callbacks_pass_in_both_directions() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let (a, b) = (world.join(), world.join());
    // Both have a callback of the same number, and each hears its own report.
    for (key, word) in [(a, b"for a"), (b, b"for b")] {
        let callback = world.client(key).engine().export_callback().unwrap();
        let handles = [Handle::Callback(callback)];
        world.call_with(key, "report", word, &handles, CallOptions::default());
    }
    let output = world.client(a).output();
    let count = world.call_with(a, "count", b"ten", &[output], CallOptions::default());
    let input = world.client(b).engine().open_stream(Direction::Outgoing).unwrap();
    world.call_with(b, "eat", b"these", &[Handle::Stream(input)], CallOptions::default());
    world.run(Duration::from_secs(1));
    let mut sent = 0;
    while sent < 1000 {
        while sent < 1000 && world.client(b).engine().send_item(input, &[7; 9]).is_ok() {
            sent += 1;
        }
        world.run(Duration::from_millis(50));
    }
    world.client(b).engine().finish(input);
    world.run(Duration::from_secs(5));
    for (key, word) in [(a, b"for a"), (b, b"for b")] {
        let client = world.client(key);
        let heard: Vec<_> = client.heard.iter().map(|(_, word)| word.clone()).collect();
        assert_eq!(heard, [word.to_vec()]);
        assert_eq!(client.released, 1);
        assert!(client.answers.values().any(|answer| answer == word), "the report is answered");
    }
    assert_eq!(world.client(a).answers[&count], b"ten");
    assert_eq!((world.client(a).items, world.client(a).ended), (10, 1));
    assert_eq!(world.device().eaten, 9000);
    world.assert_clean();
}

#[test]
fn items_that_come_before_their_call_has_its_turn_are_not_lost() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let keys: Vec<_> = (0..20).map(|_| world.join()).collect();
    for key in &keys {
        world.call(*key, "echo", b"");
    }
    world.run(Duration::from_millis(200));
    for key in &keys {
        for _ in 0..3 {
            let stream = world.client(*key).engine().open_stream(Direction::Outgoing).unwrap();
            let handles = [Handle::Stream(stream)];
            world.call_with(*key, "eat", &[0; 50], &handles, CallOptions::default());
            world.client(*key).engine().send_item(stream, &[7; 10]).unwrap();
            world.client(*key).engine().finish(stream);
        }
    }
    world.run(Duration::from_secs(3));
    assert_eq!(world.device().eaten, 600);
    world.assert_clean();
}

#[test]
fn callbacks_that_the_device_keeps_reach_the_right_client() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let keys: Vec<_> = (0..50).map(|_| world.join()).collect();
    for key in &keys {
        let callback = world.client(*key).engine().export_callback().unwrap();
        world.call_with(*key, "keep", b"", &[Handle::Callback(callback)], CallOptions::default());
        world.run(Duration::from_millis(100));
    }
    assert_eq!(world.device().kept.len(), 50);
    let now = world.now;
    for n in (0..50).rev() {
        let callback = ipfi::proto::Target::Callback(world.device().kept[n]);
        let number = [u8::try_from(n).unwrap()];
        let options = CallOptions::default();
        let engine = &mut world.device().engine;
        engine.open_call(now, &callback, number[..].into(), &[], options).unwrap();
    }
    world.run(Duration::from_secs(2));
    for (n, key) in keys.iter().enumerate() {
        let heard: Vec<_> = world.client(*key).heard.iter().map(|(_, word)| word.clone()).collect();
        assert_eq!(heard, [vec![u8::try_from(n).unwrap()]]);
    }
    world.assert_clean();
}

#[test]
fn cancelling_deadlines_and_priorities_pass() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let key = world.join();
    let call = world.call(key, "hold", b"x");
    world.run(Duration::from_millis(200));
    assert_eq!(world.device().held.len(), 1);
    world.client(key).engine().cancel(call, Code::CANCELLED);
    world.run(Duration::from_millis(200));
    assert_eq!((world.device().held.len(), world.device().cancelled), (0, 1));
    // The line is busy for a second and more; what it waits is taken from its deadline.
    let busy = world.join();
    world.call(busy, "echo", &vec![0; 20_000]);
    world.run(Duration::from_millis(50));
    let deadline = Some(Duration::from_secs(10));
    let options = CallOptions { deadline, priority: Priority::Low, ..CallOptions::default() };
    world.call_with(key, "echo", b"low", &[], options);
    let high = CallOptions { priority: Priority::High, ..options };
    world.call_with(key, "echo", b"high", &[], high);
    let opened = world.now;
    world.run(Duration::from_secs(4));
    let seen = &world.device().seen;
    let at = |word: &[u8]| seen.iter().position(|(payload, ..)| payload == word).unwrap();
    assert!(at(b"high") < at(b"low"), "priority says which goes first");
    let (_, deadline, priority) = &seen[at(b"low")];
    assert_eq!(*priority, Priority::Low);
    let late = deadline.unwrap() - opened;
    assert!(late <= Duration::from_millis(10_300), "{late:?}");
    // One that cannot wait so long never goes there.
    world.call(busy, "echo", &vec![0; 20_000]);
    world.run(Duration::from_millis(50));
    let short = CallOptions { deadline: Some(Duration::from_millis(100)), ..options };
    let before = world.device().seen.len();
    let call = world.call_with(key, "echo", b"late", &[], short);
    world.run(Duration::from_secs(5));
    assert_eq!(world.client(key).failures[&call].code, Code::DEADLINE);
    assert!(world.device().seen[before..].iter().all(|(payload, ..)| payload != b"late"));
    world.assert_clean();
}

#[test]
fn a_device_dies_and_comes_back() {
    let mut world = World::new(WhileDown::Wait);
    let key = world.join();
    // Before it is there, callers wait.
    let early = world.call(key, "echo", b"early");
    world.run(Duration::from_secs(1));
    world.plug_in();
    world.run(Duration::from_secs(1));
    assert_eq!(world.client(key).answers[&early], b"early");
    // What is under way when it dies fails, and says that it may have run.
    let callback = world.client(key).engine().export_callback().unwrap();
    world.call_with(key, "keep", b"", &[Handle::Callback(callback)], CallOptions::default());
    let output = world.client(key).output();
    let held = world.call_with(key, "hold", b"", &[output], CallOptions::default());
    world.run(Duration::from_secs(1));
    world.unplug();
    let waits = world.call(key, "echo", b"patience");
    world.run(Duration::from_secs(1));
    let failure = world.client(key).failures[&held].clone();
    assert_eq!((failure.code, failure.started), (Code::FAILED, Started::Yes), "{failure:?}");
    assert!(failure.text.contains("shared wire"), "{failure:?}");
    assert_eq!((world.client(key).ended, world.client(key).released), (1, 1));
    assert!(!world.client(key).answers.contains_key(&waits));
    world.plug_in();
    world.run(Duration::from_secs(1));
    assert_eq!(world.client(key).answers[&waits], b"patience");
    world.assert_clean();
}

#[test]
fn callers_are_refused_while_it_is_down_if_so_told() {
    let mut world = World::new(WhileDown::Refuse);
    let key = world.join();
    let early = world.call(key, "echo", b"early");
    world.run(Duration::from_secs(1));
    let failure = world.client(key).failures[&early].clone();
    assert_eq!((failure.code, failure.started), (Code::GOING_AWAY, Started::No));
    assert_eq!(failure.text, "the shared wire is down");
    world.plug_in();
    let call = world.call(key, "echo", b"now");
    world.run(Duration::from_secs(1));
    assert_eq!(world.client(key).answers[&call], b"now");
    world.assert_clean();
}

#[test]
fn what_the_device_offers_is_asked_once() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    for _ in 0..20 {
        let key = world.join();
        let call = world.call(key, "ipfi.describe", b"\x91\x90");
        world.run(Duration::from_secs(1));
        assert_eq!(world.client(key).answers[&call], b"\x91\x90");
    }
    assert_eq!(world.device().seen.len(), 1);
    world.assert_clean();
}

#[test]
fn draining_finishes_what_runs() {
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let key = world.join();
    let long = world.call(key, "echo", &[1; 10_000]);
    world.run(Duration::from_millis(100));
    let now = world.now;
    world.hub.close(now, Duration::from_secs(60));
    world.run(Duration::from_secs(3));
    assert_eq!(world.client(key).answers[&long].len(), 10_000);
    assert!(world.hub.peer(key).unwrap().engine.is_closed());
}
