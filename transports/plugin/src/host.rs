//! Finds plug-ins and makes transports of them.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ipfi_transport::{
    AnyTransport, BoxFuture, BoxStream, CheckError, Description, Listener, OptionError, Pairs,
    Place, Properties, Resolver,
};

use crate::{
    find::{PREFIX, find, find_all},
    listen::{Orders, PluginListener},
    manifest::Manifest,
    process::{Starting, describe},
    reply::Reply,
};

/// The plug-ins on `PATH`, for [`Registry::with_resolver`](ipfi_transport::Registry::with_resolver).
///
/// What a plug-in says of itself is asked once, and again when its file has changed.
#[derive(Debug, Default)]
pub struct Plugins {
    path: Option<OsString>,
    known: Mutex<HashMap<PathBuf, Known>>,
}

#[derive(Debug)]
struct Known {
    version: Version,
    manifest: Manifest,
}

/// Which file it is, when it was changed last, in nanoseconds, and its length.
type Version = (u64, (i64, i64), u64);

impl Plugins {
    /// Those in the directories of the environment variable `PATH`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those in these directories, separated by colons.
    #[must_use]
    pub fn on(path: impl Into<OsString>) -> Self {
        Self { path: Some(path.into()), known: Mutex::default() }
    }

    fn path(&self) -> OsString {
        self.path.clone().or_else(|| std::env::var_os("PATH")).unwrap_or_default()
    }

    async fn manifest(&self, file: &Path, name: &str) -> io::Result<Manifest> {
        let metadata = fs::metadata(file)?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        let version = (metadata.ino(), changed, metadata.len());
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(file).filter(|known| known.version == version) {
            return Ok(known.manifest.clone());
        }
        let manifest = describe(file, name).await?;
        lock().insert(file.into(), Known { version, manifest: manifest.clone() });
        Ok(manifest)
    }
}

impl Resolver for Plugins {
    fn resolve<'a>(
        &'a self,
        scheme: &'a str,
    ) -> BoxFuture<'a, io::Result<Option<Arc<dyn AnyTransport>>>> {
        Box::pin(async move {
            let Some(file) = find(&self.path(), scheme) else { return Ok(None) };
            let manifest = self.manifest(&file, scheme).await?;
            let plugin = Plugin { name: scheme.into(), file, manifest };
            Ok(Some(Arc::new(plugin) as Arc<dyn AnyTransport>))
        })
    }

    fn looked_for(&self, scheme: &str) -> String {
        format!("there is no `{PREFIX}{scheme}` on PATH")
    }

    fn list(&self) -> BoxFuture<'_, Vec<(Place, io::Result<Description>)>> {
        Box::pin(async {
            let mut found = Vec::new();
            for (name, file) in find_all(&self.path()) {
                let manifest = self.manifest(&file, &name).await;
                let place = Place::new(file.display().to_string(), format!("the plug-in `{name}`"));
                let plugin = manifest.map(|manifest| Plugin { name, file, manifest }.describe());
                found.push((place, plugin));
            }
            found
        })
    }
}

/// One plug-in.
struct Plugin {
    name: String,
    file: PathBuf,
    manifest: Manifest,
}

impl Plugin {
    fn check_options(&self, options: Pairs<'_>) -> Result<(), OptionError> {
        let specs = &self.manifest.options;
        let unknown = options.iter().find(|(key, _)| specs.iter().all(|spec| spec.key != *key));
        match unknown {
            Some((key, _)) => Err(OptionError::unknown(key, specs)),
            None => Ok(()),
        }
    }
}

impl AnyTransport for Plugin {
    fn describe(&self) -> Description {
        let mut description = Description::new(&self.name, &self.manifest.summary);
        description.examples.clone_from(&self.manifest.examples);
        description.reliable = self.manifest.properties.reliable;
        description.listens = self.manifest.listens;
        description.options.clone_from(&self.manifest.options);
        description
    }

    fn check(&self, _: &str, options: Pairs<'_>) -> Result<Properties, CheckError> {
        self.check_options(options)?;
        Ok(self.manifest.properties)
    }

    fn dial<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            self.check_options(options).map_err(CheckError::from)?;
            let mut starting = Starting::new(&self.file, &self.name, "dial", location, options)?;
            match starting.reply().await? {
                Reply::Ok => Ok(Box::new(starting.into_stream()?) as BoxStream),
                Reply::Error(reason) => Err(io::Error::other(reason)),
                Reply::Listening(_) => Err(starting.broken("it listens in place of dialling")),
            }
        })
    }

    fn listen<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            self.check_options(options).map_err(CheckError::from)?;
            let listener = PluginListener::new(Orders {
                file: self.file.clone(),
                name: self.name.clone(),
                location: location.into(),
                options: options.iter().map(|&(k, v)| (k.into(), v.into())).collect(),
            });
            Ok(Box::new(listener.await?) as Box<dyn Listener>)
        })
    }
}
