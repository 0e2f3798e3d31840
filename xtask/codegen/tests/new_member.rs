//! What it takes to add a member: a line in the spec, then a line in the table of the records.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod scratch;

use callmeter_codegen::generate::{changes, write};
use callmeter_codegen::plan::APIS;
use scratch::Scratch;

const MEMBER: &str = "        QueueName:
          type: string
          description: The queue that the call waited in.
";
const LINE: &str =
    "            queue_name: text = \"QueueName\", \"The queue that the call waited in.\";\n";

/// A package with the conversion's own tests, and with a test that follows the member through
/// everything that users see.
const USERS: [(&str, &str); 4] = [
    (
        "crates/member-users/Cargo.toml",
        include_str!("new_member/manifest.toml"),
    ),
    (
        "crates/member-users/tests/member_users.rs",
        include_str!("new_member/users.rs"),
    ),
    (
        "crates/member-users/tests/conversion.rs",
        "#[path = \"../../callmeter/src/sources/hostedsuite/convert.rs\"]\nmod convert;\n",
    ),
    ("crates/member-users/src/lib.rs", "//! Empty.\n"),
];

#[test]
fn a_member_in_the_spec_and_a_line_in_the_table_reach_every_user() {
    let api = APIS.iter().find(|api| api.name == "hostedsuite").unwrap();
    let scratch = Scratch::new("new-member");
    scratch.insert(
        api.spec,
        "    CallRecordInfo:",
        "\n    CallRecordInteractionInfo:",
        MEMBER,
    );
    for change in changes(&scratch.root, api).unwrap() {
        write(&scratch.root, &change).unwrap();
    }
    for (file, text) in USERS {
        scratch.write(file, text);
    }

    let unused = "every_member_that_the_api_describes_is_a_column";
    let (passed, text) = scratch.test("conversion", unused);
    assert!(!passed, "no test noticed the unused member:\n{text}");
    assert!(text.contains(r#"nothing uses ["QueueName"]"#), "{text}");

    scratch.insert(
        "crates/record-tables/src/lib.rs",
        "macro_rules! calls",
        "        }\n",
        LINE,
    );
    let (passed, text) = scratch.test("member_users", "");
    assert!(passed, "{text}");
    let (passed, text) = scratch.test("reference", "");
    assert!(passed, "{text}");
    let page = scratch.read("docs/RECORDS.md");
    let row = "| `queue_name` | `Utf8` | – | `QueueName` |";
    assert!(page.contains(row), "{page}");
}
