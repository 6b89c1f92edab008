//! Where plug-ins are.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use ipfi_transport::is_name;
use rustix::fs::{Access, access};

/// What the file of a plug-in is called, before its name.
pub(crate) const PREFIX: &str = "ipfi-transport-";

/// The executable of a plug-in: the first on `path` that we may run.
pub(crate) fn find(path: &OsStr, name: &str) -> Option<PathBuf> {
    if !is_name(name) {
        return None;
    }
    folders(path).map(|folder| folder.join(format!("{PREFIX}{name}"))).find(|file| runs(file))
}

/// Every plug-in, by name.
pub(crate) fn find_all(path: &OsStr) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for folder in folders(path) {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.strip_prefix(PREFIX));
            if let Some(name) = name.filter(|name| is_name(name))
                && !found.contains_key(name)
                && runs(&entry.path())
            {
                found.insert(name.to_owned(), entry.path());
            }
        }
    }
    found
}

/// An empty or relative entry would mean wherever we happen to stand.
fn folders(path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path).filter(|folder| folder.is_absolute())
}

fn runs(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn put(folder: &Path, file: &str, mode: u32) {
        let path = folder.join(file);
        fs::write(&path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_on_path_that_runs() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(a.path(), "ipfi-transport-x", 0o644);
        put(a.path(), "ipfi-transport-y", 0o755);
        put(a.path(), "ipfi-transport-Bad", 0o755);
        put(a.path(), "ipfi-transport-", 0o755);
        fs::create_dir(a.path().join("ipfi-transport-z")).unwrap();
        put(b.path(), "ipfi-transport-x", 0o755);
        put(b.path(), "ipfi-transport-y", 0o755);
        let dot = Path::new("").to_owned();
        let path = std::env::join_paths([&dot, a.path(), b.path()]).unwrap();

        assert_eq!(find(&path, "x").unwrap(), b.path().join("ipfi-transport-x"));
        assert_eq!(find(&path, "y").unwrap(), a.path().join("ipfi-transport-y"));
        for none in ["z", "w", "Bad", "", "../x", "x/../y"] {
            assert_eq!(find(&path, none), None, "{none}");
        }
        let all = find_all(&path);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(all["x"], b.path().join("ipfi-transport-x"));
    }

    #[test]
    fn the_current_folder_is_not_searched() {
        let here = std::env::current_dir().unwrap();
        let folder = tempfile::tempdir_in(&here).unwrap();
        put(folder.path(), "ipfi-transport-x", 0o755);
        let relative = folder.path().strip_prefix(&here).unwrap();
        assert_eq!(find(relative.as_os_str(), "x"), None);
        assert_eq!(find(OsStr::new(""), "x"), None);
    }
}
