//! Tests of whole files: valid ones, and one for each mistake.

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

/// One file per mistake, one snapshot of all messages.
#[test]
fn every_mistake_is_reported() {
    let mut messages = String::new();
    let files = files("invalid-");
    assert!(files.len() > 50, "the files are missing");
    for file in files {
        let error = load(&file).expect_err(&format!("{} is accepted", file.display()));
        let error = error.to_string();
        assert!(!error.is_empty());
        messages.push_str(&error.replace(&format!("{DIRECTORY}/"), ""));
        messages.push_str("\n\n");
    }
    assert!(
        !messages.contains("hunter2"),
        "a secret is repeated in an error"
    );
    insta::assert_snapshot!("mistakes", messages);
}

#[test]
fn a_valid_file_is_accepted_with_its_defaults() {
    let loaded = load(&Path::new(DIRECTORY).join("valid.yml")).unwrap();
    insta::assert_debug_snapshot!("valid", loaded.config);
    assert_eq!(loaded.warnings, []);
}

/// Reads `valid.yml` with another section `journal`.
fn with_journal(directory: &Path, section: &str) -> Loaded {
    for name in ["acme.password", "plugin.so"] {
        std::fs::copy(Path::new(DIRECTORY).join(name), directory.join(name)).unwrap();
    }
    let text = std::fs::read_to_string(Path::new(DIRECTORY).join("valid.yml")).unwrap();
    let old = "journal: { path: journal.db, keep: 90d, max_bytes: 10GiB }";
    assert!(text.contains(old));
    let file = directory.join("callmeter.yml");
    std::fs::write(&file, text.replace(old, section)).unwrap();
    load(&file).unwrap()
}

#[test]
fn a_journal_is_on_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    std::fs::write(place("url"), "postgres://u:hunter2@127.0.0.1/d\n").unwrap();
    let section = "journal: { postgres: { url_file: url } }";
    let loaded = with_journal(directory.path(), section);
    let server = JournalServer {
        url: JournalUrl::Secret(SecretSource::File(place("url"))),
        schema: "callmeter".to_owned(),
        tls: None,
        ca_file: None,
        directory: directory.path().to_owned(),
    };
    let journal = &loaded.config.journal;
    assert_eq!(
        journal.place,
        JournalPlace::Server(Box::new(server.clone()))
    );
    assert_eq!(loaded.config.outputs[0].dead_letters, place("dead-letters"));
    assert_eq!(loaded.warnings, []);
    // Its page has no secret: the URL is in the file.
    assert!(redacted(&loaded.text).unwrap().contains("url_file: url"));

    std::fs::write(place("url"), "postgres://u:hunter2@db.example.com/d\n").unwrap();
    let section =
        "journal: { postgres: { url_file: url, schema: a b, tls: require, directory: state } }";
    let loaded = with_journal(directory.path(), section);
    let other = JournalServer {
        schema: "a b".to_owned(),
        tls: Some(callmeter_journal::TlsMode::Require),
        directory: place("state"),
        ..server
    };
    let journal = &loaded.config.journal;
    assert_eq!(journal.place, JournalPlace::Server(Box::new(other)));
    let [warning] = &loaded.warnings[..] else {
        panic!("{:?}", loaded.warnings);
    };
    let warning = warning.to_string();
    assert!(
        warning.contains("journal.postgres.tls: does not check"),
        "{warning}"
    );
    assert!(!warning.contains("hunter2"), "{warning}");
    for safe in [
        "url: 'postgres://u@/d?host=/run/postgresql'",
        "url_file: url, tls: verify-full",
    ] {
        let section = format!("journal: {{ postgres: {{ {safe} }} }}");
        assert_eq!(with_journal(directory.path(), &section).warnings, []);
    }

    // Commands on stored data read it when they connect.
    std::fs::remove_file(place("url")).unwrap();
    assert!(load(&place("callmeter.yml")).is_err());
    assert!(load_for_stored_data(&place("callmeter.yml")).is_ok());
}

#[test]
fn a_missing_file_is_reported() {
    let error = load(Path::new("nowhere.yml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nowhere.yml: cannot read the configuration: No such file or directory (os error 2); \
         set its path with --config.file"
    );
}

#[test]
fn unwise_settings_are_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p"), "x\n").unwrap();
    let file = directory.path().join("callmeter.yml");
    std::fs::write(
        &file,
        "accounts:\n  - name: hq\n    portsip:\n      url: http://pbx.example.com/api\n      username: u\n      \
         password_file: p\n      tls: { insecure_skip_verify: true }\n  - name: acme\n    hostedsuite:\n      \
         url: https://cpo.hostedsuite.com\n      customer: c\n      username: u\n      password_file: p\n      \
         time_zone: EST\njournal: { path: j.db }\n",
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
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    /callmeter.yml:7:36: accounts[0].portsip.tls.insecure_skip_verify: the server's certificate is not checked: anyone on the network can read the password
    /callmeter.yml:4:12: accounts[0].portsip.url: is plain http: anyone on the network can read the password and the call records
    /callmeter.yml:10:12: accounts[1].hostedsuite.url: has no path of the API, as https://cpo.hostedsuite.com/api has
    /callmeter.yml:14:18: accounts[1].hostedsuite.time_zone: "EST" has no daylight saving time; New York's zone is America/New_York
    "#);
}

/// The example is valid if its files exist.
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
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::default().self_signed(&key);
    let authority = authority.unwrap().pem();
    std::fs::write(at("/etc/callmeter/pbx-ca.pem"), authority).unwrap();
    std::fs::create_dir_all(at("/var/lib/callmeter")).unwrap();
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

/// Scalars are text until they are read, so numbers of callmeter's own keys keep their spelling and
/// those of a plugin their type. Aliases and merges work as in any YAML.
#[test]
fn scalars_keep_their_spelling_and_a_plugins_settings_their_types() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["p", "plugin.so"] {
        std::fs::write(directory.path().join(file), "x\n").unwrap();
    }
    let file = directory.path().join("callmeter.yml");
    std::fs::write(
        &file,
        "accounts:\n  - name: 007\n    portsip: &pbx\n      url: https://pbx.example.com/api\n      \
         username: 1e3\n      password_file: p\n      billing: { every: &often 5s }\n      rates: { every: *often }\n  \
         - name: hq\n    portsip: { <<: *pbx, username: u }\njournal: { path: j.db }\noutputs:\n  - name: o\n    \
         plugin: ./plugin.so\n    streams: [rates]\n    \
         config: { n: 200, f: 1.5, b: true, t: '5', z: ~, l: [1, a], m: { k: -1 } }\n",
    )
    .unwrap();
    let config = load(&file).unwrap().config;
    assert_eq!(config.accounts[0].name, "007");
    assert_eq!(config.accounts[0].api.link().username, "1e3");
    assert_eq!(config.accounts[1].api.link().username, "u");
    let Api::PortSip(pbx) = &config.accounts[1].api else {
        panic!("hq is at a PBX");
    };
    let every = pbx.rates.as_ref().unwrap().every;
    assert_eq!(every, std::time::Duration::from_secs(5));
    assert_eq!(
        serde_json::Value::Object(config.outputs[0].config.clone()),
        serde_json::json!({
            "n": 200, "f": 1.5, "b": true, "t": "5", "z": null, "l": [1, "a"], "m": { "k": -1 }
        })
    );
}

#[test]
fn what_is_shown_is_chosen_by_names() {
    let path = Path::new(DIRECTORY).join("valid.yml");
    let text = std::fs::read_to_string(&path).unwrap()
        + "metrics:\n  histograms: [talk]\n  buckets: [20s, 1m]\n  client_histograms: true\n  \
           leave_out: [center_id]\n  hide: [callmeter_client_info]\n  short_abandon: 10s\n";
    let parsed = load::parse(&path, &text, true).unwrap();
    let metrics = parsed.config.metrics;
    assert_eq!(metrics.short_abandon, std::time::Duration::from_secs(10));
    let view = metrics.view;
    assert!(view.client_histograms && view.left_out == ["center_id"]);
    let shows = [
        callmeter_meter::FamilyId::CallTalk,
        callmeter_meter::FamilyId::CallAnswer,
        callmeter_meter::FamilyId::ClientInfo,
        callmeter_meter::FamilyId::Calls,
    ]
    .map(|family| view.shows(family));
    assert_eq!(shows, [true, false, false, true]);
    let bounds: Vec<f64> = view.buckets(&[0; 15]).map(|(bound, _)| bound).collect();
    assert_eq!(bounds, [20.0, 60.0, f64::INFINITY]);
}

/// Two outputs of one plugin cannot write to one place, however it is written.
#[test]
fn two_outputs_with_one_place_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display();
    for name in ["p", "csv.so", "other.so"] {
        std::fs::write(directory.path().join(name), "x\n").unwrap();
    }
    std::fs::create_dir(directory.path().join("out")).unwrap();
    std::os::unix::fs::symlink("out", directory.path().join("link")).unwrap();
    let refusal = |plugin: &str, first: &str, second: &str| {
        let text = format!(
            "accounts:\n  - name: hq\n    portsip: {{ url: 'https://pbx.example.com/api', username: u, \
             password_file: p }}\njournal: {{ path: j.db }}\noutputs:\n  - name: one\n    \
             plugin: ./csv.so\n    streams: [calls]\n    config: {{ {first} }}\n  - name: two\n    \
             plugin: ./{plugin}\n    streams: [calls]\n    config: {{ {second} }}\n"
        );
        let checked = check_text(&directory.path().join("callmeter.yml"), &text);
        checked
            .err()
            .map(|error| error.to_string().replace(&root.to_string(), "DIR"))
    };
    let out = format!("directory: {root}/out");
    for same in ["out", "./out/", "link"] {
        let refused = refusal("csv.so", &out, &format!("directory: {root}/{same}"));
        let refused = refused.unwrap_or_else(|| panic!("{same} is accepted"));
        assert!(
            refused.contains("output one") && refused.contains("output two"),
            "{refused}"
        );
    }
    let file = format!("file: {root}/new.csv");
    insta::assert_snapshot!(refusal("csv.so", &file, &file).unwrap(), @"DIR/callmeter.yml:13:13: outputs[1].config: file \"DIR/new.csv\" is that of output one, which has the same plugin: output two could not write there; give each output its own file");
    for (plugin, other) in [
        ("csv.so", format!("{out}, prefix: b-")),
        ("csv.so", format!("directory: {root}/out2")),
        ("other.so", out.clone()),
    ] {
        assert_eq!(refusal(plugin, &out, &other), None, "{plugin} {other}");
    }
}
