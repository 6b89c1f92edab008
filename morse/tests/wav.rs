//! WAV files of every kind, good and bad.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Cursor;

use ipfi_morse::wav::{Channel, SampleFormat, WavError, WavReader, WavWriter};
use proptest::prelude::*;

const FORMATS: [(SampleFormat, f32); 5] = [
    (SampleFormat::U8, 0.012),
    (SampleFormat::I16, 6.0e-5),
    (SampleFormat::I24, 1.0e-6),
    (SampleFormat::I32, 1.0e-6),
    (SampleFormat::F32, 0.0),
];

fn written(samples: &[f32], rate: u32, format: SampleFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, rate, format).unwrap();
    writer.write(samples).unwrap();
    writer.finish_seekable().unwrap();
    file.into_inner()
}

/// Reads all, with the number of samples that are missing.
fn read(file: &[u8], channel: Channel) -> Result<(Vec<f32>, u64), WavError> {
    let mut reader = WavReader::new(file)?;
    reader.select(channel)?;
    let mut all = Vec::new();
    let mut block = [0.0; 333];
    loop {
        match reader.read(&mut block)? {
            0 => return Ok((all, reader.missing())),
            n => all.extend_from_slice(&block[..n]),
        }
    }
}

fn message(file: &[u8]) -> String {
    read(file, Channel::Mix).unwrap_err().to_string()
}

/// A WAV file by hand: any format, any chunks.
fn by_hand(tag: u16, channels: u16, rate: u32, align: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(align)).to_le_bytes());
    file.extend(align.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    file.extend(data);
    let riff = u32::try_from(file.len() - 8).unwrap();
    file[4..8].copy_from_slice(&riff.to_le_bytes());
    file
}

#[test]
fn what_is_written_is_read_and_hound_reads_it_too() {
    let samples: Vec<f32> = (0..20_001u16).map(|i| (f32::from(i) * 0.1).sin()).collect();
    for (format, tolerance) in FORMATS {
        for rate in [8000, 11_025, 22_050, 44_100, 48_000, 96_000] {
            let file = written(&samples, rate, format);
            let (back, missing) = read(&file, Channel::Mix).unwrap();
            assert_eq!((back.len(), missing), (samples.len(), 0));
            let worst = back.iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{format:?}: {worst}");
            let oracle = hound::WavReader::new(file.as_slice()).unwrap();
            assert_eq!((oracle.duration(), oracle.spec().sample_rate), (20_001, rate));
        }
    }
}

#[test]
fn a_cut_off_file_is_read_to_where_it_goes() {
    let file = written(&[0.5; 1000], 8000, SampleFormat::I16);
    for cut in 0..file.len() {
        match read(&file[..cut], Channel::Mix) {
            Ok((samples, missing)) => {
                assert!(cut >= 44);
                assert_eq!(samples.len(), (cut - 44) / 2);
                assert_eq!(missing, 1000 - samples.len() as u64);
            }
            Err(WavError::Empty) => assert_eq!(cut, 0),
            Err(WavError::CutOff) => assert!((4..44).contains(&cut), "{cut}"),
            Err(WavError::NotWav) => assert!((1..4).contains(&cut), "{cut}"),
            Err(other) => panic!("{cut}: {other}"),
        }
    }
}

#[test]
fn a_pipe_and_a_killed_recorder_leave_no_length() {
    let mut pipe = Vec::new();
    let mut writer = WavWriter::new(&mut pipe, 8000, SampleFormat::I16).unwrap();
    writer.write(&[0.25; 700]).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&pipe, Channel::Mix).unwrap(), (read(&pipe, Channel::Mix).unwrap().0, 0));
    assert_eq!(WavReader::new(pipe.as_slice()).unwrap().frames(), None);
    for (riff, data) in [(0u32, 0u32), (36, 0), (0x8000_0024, 0x7fff_ffff), (!0, 0)] {
        pipe[4..8].copy_from_slice(&riff.to_le_bytes());
        pipe[40..44].copy_from_slice(&data.to_le_bytes());
        assert_eq!(read(&pipe, Channel::Mix).unwrap().0.len(), 700, "{riff:x} {data:x}");
    }
    // but an empty sound with a chunk behind it is empty
    let mut empty = by_hand(1, 1, 8000, 2, 16, &[]);
    empty.extend(b"LIST\x04\0\0\0INFO");
    empty[4..8].copy_from_slice(&48u32.to_le_bytes());
    assert_eq!(read(&empty, Channel::Mix).unwrap().0, []);
}

#[test]
fn channels_are_mixed_or_chosen() {
    let data: Vec<u8> = [1000i16, 3000, -2000, 6000].iter().flat_map(|s| s.to_le_bytes()).collect();
    let file = by_hand(1, 2, 8000, 4, 16, &data);
    let scaled = |samples: Vec<f32>| samples.iter().map(|s| (s * 32768.0).round()).collect();
    let of = |channel| -> Vec<f32> { scaled(read(&file, channel).unwrap().0) };
    assert_eq!(of(Channel::Mix), [2000.0, 2000.0]);
    assert_eq!(of(Channel::One(1)), [1000.0, -2000.0]);
    assert_eq!(of(Channel::One(2)), [3000.0, 6000.0]);
    for wanted in [0, 3] {
        let error = read(&file, Channel::One(wanted)).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no channel {wanted}: the file has 2"));
    }
    // many channels
    let wide = by_hand(1, 1024, 8000, 2048, 16, &vec![0; 2048 * 100]);
    assert_eq!(read(&wide, Channel::One(1024)).unwrap().0.len(), 100);
}

#[test]
fn unusual_but_sound_files_are_read() {
    // an odd chunk, padded, before the format and before the sound
    let plain = by_hand(1, 1, 8000, 2, 16, &[0, 64, 0, 192]);
    let mut odd = plain[..12].to_vec();
    odd.extend(b"JUNK\x03\0\0\0abc\0");
    odd.extend(&plain[12..36]);
    odd.extend(b"LIST\x01\0\0\0x\0");
    odd.extend(&plain[36..]);
    assert_eq!(read(&odd, Channel::Mix).unwrap().0, [0.5, -0.5]);
    // RF64, whose true length stands in a chunk of its own
    let mut rf64 = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
    rf64.extend(100u64.to_le_bytes());
    rf64.extend(4u64.to_le_bytes());
    rf64.extend([0; 12]);
    rf64.extend(&plain[12..40]);
    rf64.extend([0xff; 4]);
    rf64.extend(&plain[44..]);
    rf64.extend(b"trailing chunk that is no sound");
    assert_eq!(read(&rf64, Channel::Mix).unwrap().0, [0.5, -0.5]);
    // 32-bit whole numbers, doubles, 24 bits in four bytes, 12 bits in two
    let long = by_hand(1, 1, 8000, 4, 32, &[0, 0, 0, 64]);
    assert_eq!(read(&long, Channel::Mix).unwrap().0, [0.5]);
    let double = by_hand(3, 1, 8000, 8, 64, &0.5f64.to_le_bytes());
    assert_eq!(read(&double, Channel::Mix).unwrap().0, [0.5]);
    let padded = by_hand(1, 1, 8000, 4, 24, &[0, 0, 0, 64]);
    assert_eq!(read(&padded, Channel::Mix).unwrap().0, [0.5]);
    let twelve = by_hand(1, 1, 8000, 2, 12, &[0, 64]);
    assert_eq!(read(&twelve, Channel::Mix).unwrap().0, [0.5]);
    // numbers that are none
    let data: Vec<u8> =
        [f32::NAN, f32::INFINITY, 1e30].iter().flat_map(|s| s.to_le_bytes()).collect();
    let nan = by_hand(3, 1, 8000, 4, 32, &data);
    assert_eq!(read(&nan, Channel::Mix).unwrap().0, [0.0, 0.0, 1000.0]);
}

#[test]
fn what_cannot_be_read_is_said() {
    assert_eq!(message(b""), "the file is empty");
    assert_eq!(
        message(b"fLaC\0\0\0\x22 more of it"),
        "not a WAV file but FLAC: convert it first, for example with `ffmpeg -i FILE out.wav`"
    );
    assert!(message(b"ID3\x04\0\0\0\0\0\0\0\0\0").contains("MP3"));
    assert!(message(b"RIFF\x10\0\0\0AVI LIST").contains("another file of the RIFF family"));
    assert!(message(b"\0\0\0\x20ftypM4A ").contains("MP4"));
    assert!(message(b"Dear Sir, I beg to inform").contains("does not begin with RIFF and WAVE"));
    assert!(message(b"RIFF\x04\0\0\0WAVEdata\0\0\0\0").contains("does not say its format"));
    let adpcm = by_hand(2, 1, 8000, 256, 4, &[0; 256]);
    assert!(message(&adpcm).contains("ADPCM (format 0x0002)"), "{}", message(&adpcm));
    let wrong =
        |channels, rate, align, bits| message(&by_hand(1, channels, rate, align, bits, &[]));
    assert!(wrong(0, 8000, 2, 16).contains("0 channels"));
    assert!(wrong(1, 0, 2, 16).contains("0 samples a second"));
    assert!(wrong(1, 999_999_999, 2, 16).contains("999999999 samples a second"));
    assert!(wrong(1, 8000, 2, 32).contains("whole numbers of 32 bits in 2 bytes; 8, 16"));
    assert!(wrong(1, 8000, 0, 0).contains("whole numbers of 0 bits in 0 bytes"));
    let mut huge = b"RIFF\xff\xff\xff\xffWAVEjunk\xff\xff\xff\xff".to_vec();
    huge.extend([0; 1000]);
    assert!(message(&huge).contains("a chunk of 4294967295 bytes"));
    assert!(WavWriter::new(Vec::new(), 0, SampleFormat::I16).is_err());
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, Channel::Mix);
    }

    #[test]
    fn any_damage_to_a_header_ends_without_panic(at in 0usize..60, to in any::<[u8; 4]>()) {
        let mut file = written(&[0.1; 500], 8000, SampleFormat::F32);
        file[at..at + 4].copy_from_slice(&to);
        if let Ok((samples, _)) = read(&file, Channel::Mix) {
            prop_assert!(samples.len() <= file.len());
        }
    }
}
