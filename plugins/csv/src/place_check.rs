//! Whether the files of an output can be where the configuration says. Looks at them and changes
//! nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::archive::check_existing_directory;
use crate::config::Place;
use crate::error::{Context as _, CsvError, Result};
use crate::state::sibling;

/// Fails if opening the output would fail for what is there now.
pub(crate) fn check(place: &Place) -> Result<()> {
    let directory = place.directory();
    let is_there = directory.try_exists().on("look at", directory)?;
    if is_there {
        check_existing_directory(directory)?;
    } else {
        check_parent(directory)?;
    }
    if let Place::File { name, .. } = place {
        let file = directory.join(name);
        let state = place.state();
        let has_state = state.try_exists().on("look at", &state)?;
        // Its name is the longest.
        let lock = sibling(&state, ".lock");
        lock.try_exists().on("look at", &lock)?;
        check_file(&file, has_state)?;
    }
    Ok(())
}

/// The directory is created if its parent is there.
fn check_parent(directory: &Path) -> Result<()> {
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let about = fs::metadata(parent).on("create", directory)?;
    // The kernel's own file systems take no directories.
    let real = parent.canonicalize().on("look at", parent)?;
    let is_kernels = ["/proc", "/sys"].iter().any(|root| real.starts_with(root));
    if !about.is_dir() || is_kernels {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(source).on("create", directory);
    }
    Ok(())
}

/// A file without a state was not written by an output.
fn check_file(file: &Path, has_state: bool) -> Result<()> {
    let about = match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about.on("look at", file)?,
    };
    if about.is_dir() || !has_state {
        let path = file.to_owned();
        return Err(CsvError::Foreign { path });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use callmeter_plugin_sdk::{Host, OutputPlugin as _};
    use serde_json::json;

    use crate::CsvOutput;
    use crate::archive::Archive;
    use crate::config::Config;

    /// What the check refuses is what opening the output refuses, and the check creates nothing.
    #[test]
    fn the_check_refuses_where_no_file_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        fs::write(directory.path().join("afile"), "x").unwrap();
        fs::create_dir(directory.path().join("adir")).unwrap();
        let long = "x".repeat(250);
        let at = |name: &str| format!("{root}/{name}");
        let refused = [
            json!({"directory": at("missing/dir")}),
            json!({"directory": at("afile")}),
            json!({"directory": at("afile/dir")}),
            json!({"directory": "/proc/csv"}),
            json!({"directory": at("a\0b")}),
            json!({"directory": at(&long.repeat(2))}),
            json!({"file": at("afile")}),
            json!({"file": at("adir")}),
            json!({"file": "/dev/null"}),
            json!({"file": at("a\0b")}),
            json!({"file": at(&long)}),
            json!({"file": at("missing/dir/calls.csv")}),
        ];
        let config = |config| serde_json::from_value::<Config>(config).unwrap();
        let refused = refused.map(config);
        let mut messages = String::new();
        for config in &refused {
            assert!(CsvOutput::check(config).is_err(), "{config:?}");
            let refused = super::check(&config.place().unwrap());
            messages.extend([refused.unwrap_err().to_string(), "\n".to_owned()]);
        }
        let messages = messages.replace(root, "DIR").replace(&long, "xxx");
        insta::assert_snapshot!(messages);
        for valid in [
            json!({"directory": at("new")}),
            json!({"directory": at("adir")}),
            json!({"file": at("calls.csv")}),
            json!({"file": at("new/calls.csv")}),
        ] {
            assert!(CsvOutput::check(&config(valid.clone())).is_ok(), "{valid}");
        }
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 2, "the check created something");
        for config in &refused {
            assert!(Archive::open(Host::for_tests("csv"), config).is_err());
        }
        // A file of the output itself is accepted.
        let own = config(json!({"file": at("own.csv")}));
        drop(Archive::open(Host::for_tests("csv"), &own).unwrap());
        assert!(CsvOutput::check(&own).is_ok());
    }
}
