use std::path::{Path, PathBuf};

use super::*;

const DIRECTORY: &str = "testdata/config";

fn files(prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yml"))
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(prefix)
        })
        .collect();
    files.sort();
    files
}

/// One file per mistake, one snapshot of all of them: what people read when they make it.
#[test]
fn each_mistake_has_words_of_its_own() {
    let mut said = String::new();
    let files = files("invalid-");
    assert!(files.len() > 50, "the files of mistakes are not there");
    for file in files {
        let error = load(&file).expect_err(&format!("{} is accepted", file.display()));
        assert!(!error.problems().is_empty());
        for problem in error.problems() {
            said.push_str(&problem.to_string().replace(&format!("{DIRECTORY}/"), ""));
            said.push('\n');
        }
        said.push('\n');
    }
    assert!(
        !said.contains("hunter2"),
        "a secret is repeated in an error"
    );
    insta::assert_snapshot!("mistakes", said);
}

#[test]
fn a_valid_file_is_accepted_with_its_defaults() {
    let loaded = load(&Path::new(DIRECTORY).join("valid.yml")).unwrap();
    insta::assert_debug_snapshot!("valid", loaded.config);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = load(Path::new("nowhere.yml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nowhere.yml: cannot read the configuration: No such file or directory (os error 2); \
         name it by --config.file"
    );
}

#[test]
fn what_is_unwise_is_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p"), "x\n").unwrap();
    let file = directory.path().join("callmeter.yml");
    std::fs::write(
        &file,
        "accounts:\n  - name: hq\n    portsip:\n      url: http://pbx.example.com/api\n      username: u\n      \
         password_file: p\n      tls: { insecure_skip_verify: true }\njournal: { path: j.db }\n",
    )
    .unwrap();
    let warnings: Vec<String> = load(&file)
        .unwrap()
        .warnings
        .iter()
        .map(|warning| {
            warning
                .to_string()
                .replace(&directory.path().display().to_string(), "")
        })
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    /callmeter.yml:7:36: accounts[0].portsip.tls.insecure_skip_verify: the server's certificate is not checked: anyone on the way can read the password
    /callmeter.yml:4:12: accounts[0].portsip.url: is plain http: password and call records cross the network readable by anyone
    ");
}

/// The example that users start from is accepted when its files lie where it says.
#[test]
fn the_example_is_valid() {
    let example = std::fs::read_to_string("../../examples/callmeter.yml").unwrap();
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    for file in [
        "/etc/callmeter/acme.password",
        "/etc/callmeter/hq.password",
        "/etc/callmeter/pbx-ca.pem",
        "/etc/callmeter/crm.secret",
        "/usr/lib/callmeter/libcallmeter_csv.so",
        "/usr/lib/callmeter/libcallmeter_webhook.so",
    ] {
        std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
        std::fs::write(at(file), "x\n").unwrap();
    }
    let file = at("/etc/callmeter/callmeter.yml");
    let prefix = root.path().display();
    let text = ["/etc/", "/usr/", "/var/"]
        .iter()
        .fold(example, |text, dir| {
            text.replace(dir, &format!("{prefix}{dir}"))
        });
    std::fs::write(&file, text).unwrap();
    let loaded = load(&file).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.accounts.len(), 2);
    assert_eq!(loaded.config.outputs.len(), 2);
}
