//! The folder in which relative paths of databases and key files begin.

use std::path::{Path, PathBuf};

use super::report::Finding;

/// The folder for data that the settings name by relative paths.
#[derive(Debug, Clone, Default)]
pub struct DataFolder {
    /// The folder; empty for the working directory.
    pub path: PathBuf,
    /// Files that are in the working directory instead of the folder.
    misplaced: Vec<Finding>,
}

impl DataFolder {
    /// Returns the folder of the configuration file. `/etc` is not for data, so `/etc/dps` becomes
    /// `/var/lib/dps`.
    pub(super) fn of(config: Option<&Path>, working_directory: &Path) -> Self {
        let folder = config.and_then(Path::parent).unwrap_or(Path::new(""));
        let path = match working_directory.join(folder).strip_prefix("/etc") {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("/var/lib/dps"),
            Ok(below) => Path::new("/var/lib").join(below),
            Err(_) => folder.to_path_buf(),
        };
        Self {
            path,
            misplaced: Vec::new(),
        }
    }

    /// Resolves a relative path in the folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// Notes a file that is still in the working directory, as with earlier versions.
    pub(crate) fn note_misplaced(&mut self, key: &str, written: &Path) {
        let here = self.resolve(written);
        if written.is_absolute() || here.exists() || !written.exists() {
            return;
        }
        let what = format!(
            "means {}, since relative paths begin in {}, but the file is in the working directory. Stop \
             the service and move the file there (with {0}-wal and {0}-shm if they exist), or set its \
             absolute path",
            here.display(),
            self.path.display(),
        );
        self.misplaced.push(Finding {
            key: key.to_owned(),
            what,
        });
    }

    /// Returns the misplaced files of one section.
    pub fn misplaced<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a Finding> {
        let of_section = move |finding: &&Finding| finding.key.split(':').next() == Some(section);
        self.misplaced.iter().filter(of_section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lies_beside_the_configuration_file_and_never_in_etc() {
        for (config, working_directory, folder) in [
            (None, "/srv/dps", ""),
            (Some("appsettings.json"), "/srv/dps", ""),
            (Some("/srv/dps/appsettings.json"), "/root", "/srv/dps"),
            (Some("conf/dps.json"), "/srv", "conf"),
            // As the unit runs it, and as an operator does.
            (
                Some("/etc/dps/appsettings.json"),
                "/var/lib/dps",
                "/var/lib/dps",
            ),
            (Some("/etc/dps/appsettings.json"), "/root", "/var/lib/dps"),
            (None, "/etc/dps", "/var/lib/dps"),
            (Some("dps/staging.json"), "/etc", "/var/lib/dps"),
            (Some("/etc/appsettings.json"), "/", "/var/lib/dps"),
        ] {
            let found = DataFolder::of(config.map(Path::new), Path::new(working_directory));
            assert_eq!(
                found.path,
                Path::new(folder),
                "{config:?} in {working_directory}"
            );
        }
    }

    #[test]
    fn a_database_in_the_working_directory_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = DataFolder {
            path: folder.path().to_path_buf(),
            misplaced: Vec::new(),
        };
        // Of this crate: a file that lies in the working directory of its tests.
        let written = Path::new("Cargo.toml");
        data.note_misplaced("CertificateStore:ConnectionString", written);
        data.note_misplaced("Cabinet:ConnectionString", Path::new("missing.db"));
        let found: Vec<_> = data.misplaced("CertificateStore").collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("absolute path"), "{found:?}");
        assert_eq!(data.misplaced("Cabinet").count(), 0);
        std::fs::write(folder.path().join(written), "").unwrap();
        let mut moved = DataFolder {
            misplaced: Vec::new(),
            ..data
        };
        moved.note_misplaced("CertificateStore:ConnectionString", written);
        assert_eq!(moved.misplaced("CertificateStore").count(), 0);
    }
}
