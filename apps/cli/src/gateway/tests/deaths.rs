//! A thousand clients vanish in the middle of things, and nothing is left of them.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use ipfi::{
    Code,
    proto::{CallOptions, Direction, Handle},
};

use super::{super::hub::WhileDown, world::World};

/// Knuth's MMIX generator: good enough to do things at random, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

fn seed() -> u64 {
    match std::env::var("IPFI_SEED") {
        Ok(seed) => seed.parse().expect("IPFI_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0) >> 1,
    }
}

#[test]
fn a_thousand_deaths_leave_nothing() {
    let seed = seed();
    println!("IPFI_SEED={seed}");
    let mut random = Random(seed);
    let mut world = World::new(WhileDown::Wait);
    world.plug_in();
    let (mut died, mut plugged) = (0, 0);
    while died < 1000 {
        if world.clients.len() < 20 {
            world.join();
            continue;
        }
        let keys: Vec<_> = world.clients.keys().copied().collect();
        let key = keys[random.below(keys.len())];
        let options = CallOptions::default();
        match random.below(9) {
            0 | 1 => {
                world.kill(key);
                died += 1;
            }
            2 => drop(world.call(key, "hold", b"")),
            3 => {
                let call = world.call(key, "echo", &vec![0; random.below(3000)]);
                if random.below(3) == 0 {
                    world.run(Duration::from_millis(20));
                    world.client(key).engine().cancel(call, Code::CANCELLED);
                }
            }
            4 | 5 => {
                let Ok(callback) = world.client(key).engine().export_callback() else { continue };
                let name = if random.below(2) == 0 { "report" } else { "keep" };
                world.call_with(key, name, b"x", &[Handle::Callback(callback)], options);
            }
            6 => {
                let Ok(stream) = world.client(key).engine().open_stream(Direction::Outgoing) else {
                    continue;
                };
                world.call_with(key, "eat", b"", &[Handle::Stream(stream)], options);
                for _ in 0..random.below(200) {
                    let _ = world.client(key).engine().send_item(stream, &[0; 30]);
                }
                if random.below(2) == 0 {
                    world.client(key).engine().finish(stream);
                }
            }
            7 => {
                if world.client(key).engine().stats().streams < 8 {
                    let output = world.client(key).output();
                    world.call_with(key, "count", b"", &[output], options);
                }
            }
            _ => {
                // The device calls one of those that it kept, whose owner may be gone.
                let now = world.now;
                let device = world.device();
                if !device.kept.is_empty() {
                    let kept = device.kept.swap_remove(random.below(device.kept.len()));
                    let target = ipfi::proto::Target::Callback(kept);
                    let _ = device.engine.open_call(now, &target, b"y"[..].into(), &[], options);
                    device.engine.release_callback(kept);
                }
            }
        }
        if random.below(400) == 0 {
            world.unplug();
            world.run(Duration::from_millis(50));
            world.plug_in();
            plugged += 1;
        }
        world.run(Duration::from_millis(5 * u64::try_from(random.below(20)).unwrap()));
    }
    println!("the device came back {plugged} times");
    for key in world.clients.keys().copied().collect::<Vec<_>>() {
        world.kill(key);
    }
    world.assert_clean();
    assert!(world.hub.clients.is_empty());
    assert_eq!(world.device().engine.stats().exported_callbacks, 0);
}
