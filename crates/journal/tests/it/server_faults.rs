//! Servers that cannot be used: a message that says what to do, and nothing is lost.

use callmeter_journal::{Journal, JournalError, PostgresJournal, Reader, TlsMode};

use crate::server::{OwnServer, free_port};
use crate::support::{
    DAY, Engine, NOON, Place, add_page, admin, call, call_lines, on, poll, poll_page,
    server_journal,
};

fn place() -> Place {
    on(Engine::Server, Place::new)
}

fn settings(place: &Place) -> PostgresJournal {
    match place {
        Place::Schema(journal) => journal.clone(),
        Place::Files(_) => panic!("a place on a server"),
    }
}

/// The error of a connection, with all that differs between runs replaced.
fn refused(journal: &PostgresJournal) -> String {
    let error = Journal::connect(journal).unwrap_err();
    text(&error, journal)
}

fn text(error: &JournalError, journal: &PostgresJournal) -> String {
    let url = &journal.url;
    let port = url
        .split([':', '/', '?'])
        .find(|part| part.parse::<u16>().is_ok());
    error
        .to_string()
        .replace(port.unwrap_or("PORT"), "PORT")
        .replace(&format!("schema {}", journal.schema), "schema SCHEMA")
}

fn url(user: &str, database: &str) -> String {
    let port = crate::server::shared().port;
    format!("postgres://{user}@127.0.0.1:{port}/{database}")
}

#[test]
fn a_server_that_is_not_there() {
    let journal = PostgresJournal::new(format!(
        "postgres://u:pass-word@127.0.0.1:{}/db",
        free_port()
    ));
    let error = Journal::connect(&journal).unwrap_err();
    assert!(error.is_transient());
    assert!(!format!("{error:?} {error} {journal:?}").contains("pass-word"));
    insta::assert_snapshot!(text(&error, &journal));
}

#[test]
fn a_url_that_cannot_be_used() {
    let what = |url: &str| {
        Journal::connect(&PostgresJournal::new(url))
            .unwrap_err()
            .to_string()
    };
    let texts = [
        "",
        "host=a user=b",
        "mysql://u:secret-word@h/db",
        "postgres://h/db",
        "postgres://u:secret-word@h/db?sslmode=verify-full",
        "postgres://u:secret-word@h:port/db",
        "postgres://u:secret-word@/db",
        "postgres://u:secret-word@a,b/db?hostaddr=127.0.0.1",
        "postgres://u:secret-word@a,b/db?sslmode=disable&channel_binding=require",
    ]
    .map(what)
    .join("\n");
    assert!(!texts.contains("secret-word"), "{texts}");
    insta::assert_snapshot!(texts);
    let schema = |name: &str| PostgresJournal {
        schema: name.to_owned(),
        ..PostgresJournal::new("postgres://u@h/db")
    };
    for name in ["", "a\"b", "a,b", &"x".repeat(64)] {
        let error = Journal::connect(&schema(name)).unwrap_err();
        assert!(
            matches!(error, JournalError::BadSchemaName { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_password_that_is_wrong() {
    let server = OwnServer::start();
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client
        .batch_execute(
            "CREATE ROLE meter LOGIN PASSWORD 'right'; GRANT CREATE ON DATABASE postgres TO meter",
        )
        .unwrap();
    let rules = "host all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let journal = |password: &str| {
        let port = server.port;
        PostgresJournal::new(format!(
            "postgres://meter{password}@127.0.0.1:{port}/postgres"
        ))
    };
    // The server reads the file in its own time.
    let wrong = loop {
        match Journal::connect(&journal(":wrong-word")) {
            Err(error) => break error,
            Ok(_) => std::thread::yield_now(),
        }
    };
    assert!(!wrong.is_transient());
    let wrong_text = text(&wrong, &journal(":wrong-word"));
    assert!(!format!("{wrong:?} {wrong}").contains("wrong-word"));
    let none = refused(&journal(""));
    insta::assert_snapshot!(format!("{wrong_text}\n{none}"));
    Journal::connect(&journal(":right")).unwrap();
}

#[test]
fn rights_that_are_missing() {
    let place = place();
    let role = format!("limited_{}", std::process::id());
    let mut client = admin();
    client
        .batch_execute(&format!("CREATE ROLE {role} LOGIN"))
        .unwrap();
    let journal = PostgresJournal {
        url: url(&role, "postgres"),
        ..settings(&place)
    };
    let mut texts = vec![refused(&journal)];
    poll_page(&place.open(), NOON, &[call("a")]);
    texts.push(refused(&journal));
    let schema = &journal.schema;
    client
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        ))
        .unwrap();
    texts.push(refused(&journal));
    // It may read.
    assert_eq!(Reader::connect(&journal).unwrap().head().unwrap().0, 1);
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
    let texts = texts.join("\n").replace(&role, "ROLE");
    insta::assert_snapshot!(texts.replace(schema.as_str(), "SCHEMA"));
}

/// A schema that somebody else has made: the message says whose it is, and what to run.
#[test]
fn a_schema_of_somebody_else() {
    let place = place();
    let role = format!("guest_{}", std::process::id());
    let mut client = admin();
    let journal = PostgresJournal {
        url: url(&role, "postgres"),
        ..settings(&place)
    };
    let schema = &journal.schema;
    client
        .batch_execute(&format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA {schema}"))
        .unwrap();
    let mut texts = vec![refused(&journal)];
    client
        .batch_execute(&format!("GRANT USAGE ON SCHEMA {schema} TO {role}"))
        .unwrap();
    texts.push(refused(&journal));
    // What the message says helps.
    let error = Journal::connect(&journal).unwrap_err().to_string();
    let (_, grant) = error.split_once(": run ").unwrap();
    client.batch_execute(grant).unwrap();
    poll_page(&Journal::connect(&journal).unwrap(), NOON, &[call("a")]);
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
    let texts = texts.join("\n").replace(&role, "ROLE");
    insta::assert_snapshot!(texts.replace(schema.as_str(), "SCHEMA"));
}

#[test]
fn a_database_that_cannot_be_used() {
    let name = format!("latin_{}", std::process::id());
    let mut client = admin();
    client
        .batch_execute(&format!(
            "CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        ))
        .unwrap();
    let latin = refused(&PostgresJournal::new(url("callmeter", &name)));
    client
        .batch_execute(&format!("DROP DATABASE {name}"))
        .unwrap();
    let missing = refused(&PostgresJournal::new(url("callmeter", "nowhere")));
    insta::assert_snapshot!(format!("{latin}\n{missing}").replace(&name, "NAME"));
}

#[test]
fn a_schema_that_cannot_be_used() {
    let place = place();
    let journal = settings(&place);
    let schema = &journal.schema;
    let mut client = admin();
    let mut texts = Vec::new();
    // A reader creates nothing.
    texts.push(text(&Reader::connect(&journal).unwrap_err(), &journal));
    client
        .batch_execute(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.bills (id int)"
        ))
        .unwrap();
    texts.push(refused(&journal));
    client
        .batch_execute(&format!("DROP TABLE {schema}.bills"))
        .unwrap();
    // An empty schema becomes a journal.
    poll_page(&place.open(), NOON, &[call("a")]);
    for change in [
        "UPDATE callmeter_journal SET format = 99",
        "UPDATE callmeter_journal SET format = 4",
        "UPDATE callmeter_journal SET format = 5; DROP TABLE coverage",
    ] {
        client
            .batch_execute(&format!("SET search_path TO {schema}; {change}"))
            .unwrap();
        texts.push(refused(&journal));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_server_without_connections() {
    let place = place();
    place.open();
    let role = format!("few_{}", std::process::id());
    let mut client = admin();
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} SUPERUSER LOGIN; ALTER ROLE {role} CONNECTION LIMIT 0"
        ))
        .unwrap();
    let journal = PostgresJournal {
        url: url(&role, "postgres"),
        ..settings(&place)
    };
    // A superuser is not limited by it.
    client
        .batch_execute(&format!("ALTER ROLE {role} NOSUPERUSER"))
        .unwrap();
    let error = Journal::connect(&journal).unwrap_err();
    client.batch_execute(&format!("DROP ROLE {role}")).unwrap();
    assert!(error.is_transient());
    insta::assert_snapshot!(text(&error, &journal));
}

/// Behind a pooler that shares sessions, callmeter does not start.
#[test]
fn a_pooler_of_transactions() {
    let place = place();
    place.open();
    let pooler = crate::pooler::start(crate::server::shared().port);
    let journal = PostgresJournal {
        url: format!("postgres://callmeter@127.0.0.1:{pooler}/postgres"),
        ..settings(&place)
    };
    insta::assert_snapshot!(refused(&journal));
}

/// A standby answers readers, and an instance that must write says what to do.
#[test]
fn a_standby() {
    let mut server = OwnServer::start();
    let journal = PostgresJournal::new(server.url());
    poll_page(&Journal::connect(&journal).unwrap(), NOON, &[call("a")]);
    server.stop();
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.resume();
    insta::assert_snapshot!(refused(&journal));
    let mut reader = Reader::connect(&journal).unwrap();
    assert!(reader.verify(|_| ()).unwrap().is_sound());
}

/// A server that restarts costs the operations meanwhile, and no record.
#[test]
fn a_server_that_restarts() {
    let mut server = OwnServer::start();
    let settings = PostgresJournal::new(server.url());
    let journal = Journal::connect(&settings).unwrap();
    poll_page(&journal, NOON, &[call("a")]);
    let mut session = poll(&journal, NOON);
    let mut page = session.page(NOON - DAY..NOON, NOON).unwrap();
    page.add(&call("b")).unwrap();
    server.stop();
    let error = page.commit(None).unwrap_err();
    assert!(error.is_transient());
    insta::assert_snapshot!(text(&error, &settings));
    server.resume();
    add_page(&mut session, NOON, &[call("a"), call("b")]);
    assert_eq!(call_lines(&journal).len(), 2);
}

/// What only a server with a full disk, or other clients, answers: a trigger says it here.
#[test]
fn a_server_that_refuses_an_append() {
    let place = place();
    let journal = place.open();
    let schema = settings(&place).schema;
    let mut client = admin();
    let mut fail = |code: &str, times: u32| {
        client
            .batch_execute(&format!(
                "SET search_path TO {schema};
                 DROP TRIGGER IF EXISTS fails ON batches;
                 DROP SEQUENCE IF EXISTS tries; CREATE SEQUENCE tries;
                 CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF nextval('tries') <= {times} THEN
                     RAISE EXCEPTION 'as the test says' USING ERRCODE = '{code}';
                   END IF; RETURN NEW; END $$;
                 CREATE TRIGGER fails BEFORE INSERT ON batches FOR EACH ROW EXECUTE FUNCTION fails()"
            ))
            .unwrap();
    };
    let commit = |id: &str| {
        let mut session = poll(&journal, NOON);
        let mut page = session.page(NOON - DAY..NOON, NOON).unwrap();
        page.add(&call(id)).unwrap();
        page.commit(None)
    };
    // What the first try of the first append has stored is not taken for stored.
    fail("40001", 1);
    commit("a").unwrap();
    let mut texts = Vec::new();
    // A full disk: nothing is lost, and the records are read again.
    fail("53100", 1);
    let error = commit("b").unwrap_err();
    assert!(error.is_transient());
    texts.push(text(&error, &settings(&place)));
    commit("b").unwrap();
    // Others are in the way: it is tried a few times.
    for code in ["40001", "40P01"] {
        fail(code, 4);
        commit(&format!("c {code}")).unwrap();
        fail(code, 5);
        let error = commit(&format!("d {code}")).unwrap_err();
        assert!(error.is_transient());
        texts.push(text(&error, &settings(&place)));
        commit(&format!("d {code}")).unwrap();
    }
    fail("25006", 1);
    texts.push(text(&commit("e").unwrap_err(), &settings(&place)));
    insta::assert_snapshot!(texts.join("\n"));
    assert_eq!(call_lines(&journal).len(), 6);
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

#[test]
fn a_connection_that_must_be_encrypted() {
    let journal = PostgresJournal {
        tls: Some(TlsMode::Require),
        ..server_journal("never")
    };
    insta::assert_snapshot!(refused(&journal));
    let journal = PostgresJournal {
        tls: Some(TlsMode::VerifyFull),
        ca_file: Some("/nowhere/ca.pem".into()),
        ..server_journal("never")
    };
    insta::assert_snapshot!("file", refused(&journal));
    let journal = PostgresJournal {
        tls: Some(TlsMode::Prefer),
        ..journal
    };
    insta::assert_snapshot!("unused", refused(&journal));
}
