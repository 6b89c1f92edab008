//! Streams through what sound cards, strangers and restarts do: nothing is wrong, nothing spliced.
#![allow(clippy::unwrap_used, reason = "a test: helpers may panic")]

mod air;

use air::{Choice, Station, World};
use ipfi_arq::{Ended, State};
use ipfi_morse::modem::{Config, Mode};

const FAST: Choice = Choice::Fixed(Mode::Fast);

fn world(air: &str, seed: u64) -> World {
    World::new(&air.parse().unwrap(), Mode::Fast, FAST, seed)
}

/// Both stations send so many bytes, and all of them arrive.
fn talk_both_ways(world: &mut World, bytes: usize, what: &str) {
    let before = [0, 1].map(|side| world.stations[side].read.len());
    for side in 0..2 {
        world.say(side, bytes);
    }
    let done =
        |world: &World| (0..2).all(|side| world.stations[side].read.len() == before[side] + bytes);
    assert!(world.run_until(300.0, done), "{what}");
    world.check();
}

#[test]
fn a_stream_stays_intact_through_what_receivers_do() {
    for air in [
        "snr=25,ppm=200",
        "snr=25,ppm=-200",
        "snr=25,gain=-37",
        "snr=25,clip=-1",
        "snr=25,dc=0.4",
        "snr=25,clicks=2/0,hum=50/-6",
    ] {
        talk_both_ways(&mut world(air, 2), 250, air);
    }
    for level_db in [0.0, -40.0] {
        let mut config = Config::new(48_000);
        config.level_db = level_db;
        let mut world = World::with(&config, &"snr=25".parse().unwrap(), Mode::Fast, FAST, 2);
        talk_both_ways(&mut world, 250, &format!("{level_db} dB"));
    }
}

#[test]
fn stations_of_44_1_and_48_khz_understand_each_other() {
    for mode in [Mode::Fast, Mode::Cable] {
        let choice = Choice::Fixed(mode);
        let mut world = World::new(&"snr=30".parse().unwrap(), mode, choice, 5);
        world.stations[1] = Station::at_rate(44_100, choice, 77);
        talk_both_ways(&mut world, 400, mode.name());
    }
}

#[test]
fn a_station_restarted_in_a_frame_is_an_error_and_never_spliced() {
    for round in 1..=4_u32 {
        let mut world = world("snr=25", round.into());
        assert!(world.run_until(100.0, World::is_open));
        for side in 0..2 {
            world.say(side, 1500);
        }
        // In the midst of a packet of one or the other.
        let after = 1.0 + f64::from(round) * 1.7;
        world.run_until(after, |_| false);
        let survivor = usize::from(round % 2 == 0);
        world.stations[1 - survivor] = Station::new(&Config::new(48_000), FAST, 1000 + round);
        let failed = |world: &World| world.stations[survivor].error;
        assert!(world.run_until(100.0, failed), "round {round}");
        let old = &world.stations[survivor];
        assert_eq!(old.link.state(), State::Failed(Ended::PeerRestarted), "round {round}");
        assert!(old.read.len() < 1500);
        // The new program hears nothing of the old stream, and a new one there begins anew.
        assert_eq!(world.stations[1 - survivor].read, []);
        world.stations[survivor] = Station::new(&Config::new(48_000), FAST, 2000 + round);
        talk_both_ways(&mut world, 200, &format!("round {round}"));
    }
}

#[test]
fn replayed_sound_is_the_same_packet_again_and_the_link_drops_it() {
    let mut world =
        World::new(&"snr=30".parse().unwrap(), Mode::Fast, Choice::Fixed(Mode::Fast), 5);
    world.record = Some(Vec::new());
    assert!(world.goodput(300, 100.0) > 0.0);
    let record = world.record.take().unwrap();
    world.replay = record.into();
    world.say(0, 300);
    assert!(world.run_until(200.0, |world| world.stations[1].read.len() == 600));
    world.check();
}

#[test]
fn a_stream_survives_a_sound_card_that_loses_pieces() {
    for lost in ["drop", "lose"] {
        let air = format!("snr=20,{lost}=5/0.15/0.45").parse().unwrap();
        let mut world = World::new(&air, Mode::Fast, Choice::Fixed(Mode::Fast), 3);
        world.say(1, 1500);
        let goodput = world.goodput(1500, 600.0);
        println!("{lost}: {goodput:.0} B/s");
        assert!(goodput > 0.0);
        assert!(world.run_until(600.0, |world| world.stations[0].read.len() == 1500));
        world.check();
    }
}

#[test]
fn two_pairs_share_an_air() {
    let config = Config::new(48_000);
    let (mode, air) = (Mode::Fast, "snr=20".parse().unwrap());
    let mut world = World::pairs(&config, &air, mode, Choice::Fixed(mode), 4, 2);
    for side in 0..4 {
        world.say(side, 400);
    }
    let done = |world: &World| world.stations.iter().all(|station| station.read.len() == 400);
    assert!(world.run_until(900.0, done));
    println!("{:.0} s", world.seconds());
    world.check();
}

#[test]
fn the_ladder_climbs_as_far_as_the_air_allows() {
    for (air, least) in [("snr=35", Mode::Cable), ("snr=10", Mode::Brisk)] {
        let mut world =
            World::new(&air.parse().unwrap(), Mode::Room, Choice::Ladder(Mode::Room), 6);
        let goodput = world.goodput(3000, 900.0);
        let modes = &world.stations[0].modes;
        println!("{air}: {goodput:.0} B/s, {modes:?}");
        assert!(goodput > 0.0 && modes.iter().any(|&mode| mode >= least), "{air}");
    }
}

#[test]
fn the_ladder_follows_a_changing_air_step_by_step() {
    let air = |text: &str| text.parse().unwrap();
    let mut world = World::new(&air("snr=35"), Mode::Room, Choice::Ladder(Mode::Room), 6);
    for (air, text, highest, lowest) in [
        ("snr=35", "a cable", Mode::Cable, Mode::Room),
        ("snr=3", "noise", Mode::Cable, Mode::Rescue),
        ("snr=35", "a cable again", Mode::Cable, Mode::Rescue),
    ] {
        world.set_air(&air.parse().unwrap(), Mode::Room);
        let from = world.stations[0].modes.len();
        let before = world.stations[1].read.len();
        world.say(0, 2500);
        let all = before + 2500;
        assert!(world.run_until(900.0, |world| world.stations[1].read.len() == all), "{text}");
        world.check();
        let modes = &world.stations[0].modes[from..];
        println!("{text}, {:.0} s: {modes:?}", world.seconds());
        assert!(modes.iter().all(|mode| (lowest..=highest).contains(mode)), "{text}");
        let last = *modes.last().unwrap();
        assert!(
            if text == "noise" { last <= Mode::Brisk } else { last >= Mode::Fast },
            "{text}: {last}"
        );
    }
    let step = |pair: &[Mode]| {
        let place = |mode| Mode::ALL.iter().position(|&other| other == mode).unwrap();
        place(pair[0]).abs_diff(place(pair[1]))
    };
    assert!(world.stations[0].modes.windows(2).all(|pair| step(pair) <= 1));
}
