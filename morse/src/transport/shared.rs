//! An air that processes share: the first one keeps it, the others reach it by a socket.
//!
//! A station gives a block of samples (32-bit floats, little-endian) and gets back what it heard.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::air::{Air, BLOCK, Seat};

/// How often to try, when others begin or end the same air at the same moment.
const TRIES: u32 = 20;

/// A place in an air, here or in another process.
#[derive(Debug)]
pub(crate) enum Place {
    Here(Seat),
    There(UnixStream),
}

impl Place {
    /// Gives a block and waits for what was heard meanwhile.
    pub(crate) async fn exchange(&mut self, block: &[f32]) -> io::Result<Vec<f32>> {
        match self {
            Self::Here(seat) => Ok(seat.exchange(block).await),
            Self::There(stream) => {
                write(stream, block).await?;
                read(stream).await
            }
        }
    }
}

/// A place in the air of this name. Whoever comes first keeps it for as long as the process lives.
pub(crate) async fn join(name: &str) -> io::Result<Place> {
    let path = path(name)?;
    for _ in 0..TRIES {
        match UnixStream::connect(&path).await {
            Ok(stream) => return Ok(Place::There(stream)),
            // Nobody keeps it any more.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = std::fs::remove_file(&path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(explain(&path, &error)),
        }
        match UnixListener::bind(&path) {
            Ok(listener) => {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
                let air = Air::new();
                let seat = air.join()?;
                tokio::spawn(keep(listener, air));
                return Ok(Place::Here(seat));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(explain(&path, &error)),
        }
        tokio::task::yield_now().await;
    }
    let text =
        format!("the air `{name}` neither takes stations nor goes; remove {}", path.display());
    Err(io::Error::other(text))
}

/// Somebody in a simulated air that an address names by `air=NAME`, who hears all others and says
/// nothing: to record them, or to read along.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let mut bystander = ipfi_morse::transport::Bystander::join("test").await?;
/// let sound: Vec<f32> = bystander.hear().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Bystander(Place);

impl Bystander {
    /// The samples a second of every simulated air.
    pub const RATE: u32 = super::air::RATE;

    /// Enters the air of this name; it is there as long as somebody is in it.
    pub async fn join(name: &str) -> io::Result<Self> {
        Ok(Self(join(name).await?))
    }

    /// Enters an air of this process.
    pub fn enter(air: &Air) -> io::Result<Self> {
        Ok(Self(Place::Here(air.join()?)))
    }

    /// Waits for the next 10 ms of sound. The others wait for whoever does not ask.
    pub async fn hear(&mut self) -> io::Result<Vec<f32>> {
        self.0.exchange(&[]).await
    }
}

/// Whether a name can be one of an air.
pub(crate) fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=40).contains(&name.len()) && name.chars().all(good)
}

fn path(name: &str) -> io::Result<PathBuf> {
    if !is_name(name) {
        let text = format!("`{name}` names no air: use up to 40 letters, digits, - and _");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let folder =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    Ok(folder.unwrap_or_else(std::env::temp_dir).join(format!("ipfi-air-{name}")))
}

fn explain(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the air at {} cannot be shared: {error}", path.display()))
}

async fn keep(listener: UnixListener, air: Air) {
    while let Ok((stream, _)) = listener.accept().await {
        if let Ok(seat) = air.join() {
            tokio::spawn(host(stream, seat));
        }
    }
}

/// Stands in for a station of another process, until that leaves.
async fn host(mut stream: UnixStream, mut seat: Seat) -> io::Result<()> {
    loop {
        let block = read(&mut stream).await?;
        let heard = seat.exchange(&block).await;
        write(&mut stream, &heard).await?;
    }
}

async fn write(stream: &mut UnixStream, block: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(BLOCK * 4);
    for sample in block.iter().copied().chain(std::iter::repeat(0.0)).take(BLOCK) {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    stream.write_all(&bytes).await
}

async fn read(stream: &mut UnixStream) -> io::Result<Vec<f32>> {
    let mut bytes = [0; BLOCK * 4];
    stream.read_exact(&mut bytes).await.map_err(|error| {
        io::Error::new(error.kind(), "the process that kept the shared air has gone")
    })?;
    let samples = bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four));
    // A stranger may send anything.
    Ok(samples.map(|v| if v.is_finite() { v.clamp(-8.0, 8.0) } else { 0.0 }).collect())
}
