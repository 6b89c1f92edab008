//! Files, named pipes and standard input and output as the medium, at the speed of sound: 10 ms of it
//! every 10 ms.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::MorseOptions;
use super::air::{BLOCK, RATE};
use super::station::Station;
use crate::resample::Resampler;
use crate::wav::{SampleFormat, WavReader, WavWriter};

const TICK: Duration = Duration::from_millis(10);

/// Runs a station by files, on a thread of its own; says by which.
pub(crate) fn start(mut station: Station, options: &MorseOptions) -> io::Result<String> {
    let (from, to) = (options.r#in.clone(), options.out.clone());
    if let Some(path) = from.as_deref().filter(|path| !is_standard(path)) {
        // The rest of opening may wait for somebody else.
        std::fs::metadata(path).map_err(|error| failed(path, &error, error.kind()))?;
    }
    let name = |path: &Option<PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => "nothing".into(),
    };
    let via = format!("{} and {}", name(&from), name(&to));
    let options = options.clone();
    let run = move || {
        if let Err(error) = carry(&mut station, from, to, &options) {
            station.end(error.to_string());
        }
    };
    std::thread::Builder::new().name("morse".into()).spawn(run)?;
    Ok(via)
}

#[expect(clippy::disallowed_methods, reason = "a file has no clock of its own")]
fn carry(
    station: &mut Station,
    from: Option<PathBuf>,
    to: Option<PathBuf>,
    options: &MorseOptions,
) -> io::Result<()> {
    // A named pipe opens when its other end does, and that may wait for ours.
    let source = std::thread::spawn(move || from.map(|path| Source::open(&path)).transpose());
    let mut sink = to.map(|path| Sink::open(&path)).transpose()?;
    let (mut heard, mut out) = (Vec::new(), vec![0.0; BLOCK]);
    if let Some(sink) = &mut sink {
        // The other end may wait for our first sound as we wait for its.
        sink.write(&out)?;
    }
    let mut source = source.join().map_err(|_| io::Error::other("no sound"))??;
    if let Some(Source::Wav(reader, _, path)) = &source {
        let what = format!("the sound file {}", path.display());
        options.check_rate(reader.format().rate, &what)?;
    }
    let mut due = Instant::now();
    while !station.is_over() {
        if let Some(sink) = &mut sink {
            sink.write(&out)?;
        }
        heard.clear();
        match &mut source {
            Some(source) => source.read(&mut heard)?,
            None => heard.resize(BLOCK, 0.0),
        }
        station.step(&heard, &mut out);
        due += TICK;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    sink.map_or(Ok(()), Sink::finish)
}

fn failed(path: &Path, error: impl std::fmt::Display, kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, format!("the sound file {}: {error}", path.display()))
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn is_wav(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"))
}

type Input = io::Chain<Cursor<[u8; 4]>, BufReader<Box<dyn Read + Send>>>;

enum Source {
    Wav(Box<WavReader<Input>>, Option<Resampler>, PathBuf),
    Raw(Input, PathBuf),
}

impl Source {
    /// What begins as WAV does is WAV.
    fn open(path: &Path) -> io::Result<Self> {
        let input: Box<dyn Read + Send> = if is_standard(path) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| failed(path, &error, error.kind()))?)
        };
        let mut input = BufReader::new(input);
        let mut head = [0; 4];
        input.read_exact(&mut head).map_err(|error| ended(path, &error))?;
        let input = Cursor::new(head).chain(input);
        if head != *b"RIFF" {
            return Ok(Self::Raw(input, path.to_owned()));
        }
        let reader = WavReader::new(input)
            .map_err(|error| failed(path, error, io::ErrorKind::InvalidData))?;
        let rate = reader.format().rate;
        let resampler = (rate != RATE).then(|| Resampler::new(f64::from(rate), f64::from(RATE)));
        Ok(Self::Wav(Box::new(reader), resampler, path.to_owned()))
    }

    /// Appends about a block.
    fn read(&mut self, heard: &mut Vec<f32>) -> io::Result<()> {
        match self {
            Self::Raw(file, path) => {
                let mut bytes = [0; BLOCK * 4];
                file.read_exact(&mut bytes).map_err(|error| ended(path, &error))?;
                heard.extend(bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)));
                Ok(())
            }
            Self::Wav(reader, resampler, path) => {
                let rate = reader.format().rate as usize;
                let mut block = vec![0.0; (rate / 100).max(1)];
                let count = reader
                    .read(&mut block)
                    .map_err(|error| failed(path, error, io::ErrorKind::InvalidData))?;
                if count == 0 {
                    return Err(failed(path, "it has ended", io::ErrorKind::UnexpectedEof));
                }
                block.truncate(count);
                match resampler {
                    Some(resampler) => resampler.process(&block, heard),
                    None => heard.extend_from_slice(&block),
                }
                Ok(())
            }
        }
    }
}

/// The end of a sound, or what else became of it.
fn ended(path: &Path, error: &io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return failed(path, "it has ended", error.kind());
    }
    failed(path, error, error.kind())
}

enum Sink {
    Wav(WavWriter<File>, PathBuf),
    Raw(Box<dyn Write + Send>, PathBuf),
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        if is_standard(path) {
            return Ok(Self::Raw(Box::new(io::stdout()), path.to_owned()));
        }
        let file = File::create(path).map_err(|error| failed(path, &error, error.kind()))?;
        if !is_wav(path) {
            return Ok(Self::Raw(Box::new(file), path.to_owned()));
        }
        let writer = WavWriter::new(file, RATE, SampleFormat::I16)
            .map_err(|error| failed(path, error, io::ErrorKind::Other))?;
        Ok(Self::Wav(writer, path.to_owned()))
    }

    fn write(&mut self, block: &[f32]) -> io::Result<()> {
        match self {
            Self::Raw(file, path) => {
                let bytes: Vec<u8> = block.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                let written = file.write_all(&bytes).and_then(|()| file.flush());
                written.map_err(|error| failed(path, &error, error.kind()))
            }
            Self::Wav(writer, path) => {
                writer.write(block).map_err(|error| failed(path, error, io::ErrorKind::BrokenPipe))
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Raw(mut file, _) => file.flush(),
            Self::Wav(writer, path) => {
                // A pipe cannot be told the length, which players do without.
                let is_file = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
                let done = if is_file { writer.finish_seekable() } else { writer.finish() };
                done.map_err(|error| failed(&path, error, io::ErrorKind::Other))
            }
        }
    }
}
