//! The header and the Rust structs describe the same layout. This compares every size, offset and
//! number, as C11 and as C++17.
// It runs compilers, which Miri cannot.
#![cfg(not(miri))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use callmeter_plugin_abi as abi;

/// `(struct's name in C, its size, [(member, offset)])`
type Layout = (&'static str, usize, Vec<(&'static str, usize)>);

macro_rules! layout {
    ($c:literal, $rust:ty, [$($member:ident),* $(,)?]) => {
        ($c, size_of::<$rust>(), vec![$((stringify!($member), offset_of!($rust, $member))),*])
    };
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!(
            "struct ArrowSchema",
            abi::arrow::ArrowSchema,
            [
                format,
                name,
                metadata,
                flags,
                n_children,
                children,
                dictionary,
                release,
                private_data
            ]
        ),
        layout!(
            "struct ArrowArray",
            abi::arrow::ArrowArray,
            [
                length,
                null_count,
                offset,
                n_buffers,
                n_children,
                buffers,
                children,
                dictionary,
                release,
                private_data
            ]
        ),
        layout!("callmeter_str", abi::Str, [ptr, len]),
        layout!(
            "callmeter_host",
            abi::Host,
            [
                struct_size,
                abi_major,
                abi_minor,
                features,
                ctx,
                log,
                log_enabled,
                cancelled
            ]
        ),
        layout!(
            "callmeter_error",
            abi::ErrorBox,
            [struct_size, len, retry_after_ms, msg]
        ),
        layout!(
            "callmeter_batch",
            abi::Batch,
            [
                struct_size,
                kind,
                seq,
                batch_id,
                attempt,
                schema_id,
                schema,
                array
            ]
        ),
        layout!(
            "callmeter_output_plugin",
            abi::OutputPlugin,
            [
                struct_size,
                abi_major,
                abi_minor,
                features,
                name,
                version,
                config_schema,
                create,
                write_batch,
                flush,
                cancel,
                destroy,
                check
            ]
        ),
        ("callmeter_note", size_of::<abi::note::Note>(), vec![]),
    ]
}

fn numbers() -> Vec<(&'static str, i64)> {
    vec![
        ("CALLMETER_ABI_MAJOR", abi::ABI_MAJOR.into()),
        ("CALLMETER_ABI_MINOR", abi::ABI_MINOR.into()),
        ("CALLMETER_OK", abi::Status::Ok as i64),
        ("CALLMETER_RETRY", abi::Status::Retry as i64),
        ("CALLMETER_REJECT", abi::Status::Reject as i64),
        ("CALLMETER_FATAL", abi::Status::Fatal as i64),
        (
            "CALLMETER_UNSUPPORTED_ABI",
            abi::Status::UnsupportedAbi as i64,
        ),
        ("CALLMETER_CALLS", abi::StreamKind::Calls as i64),
        ("CALLMETER_BALANCES", abi::StreamKind::Balances as i64),
        ("CALLMETER_RATES", abi::StreamKind::Rates as i64),
        ("CALLMETER_BILLING", abi::StreamKind::Billing as i64),
        ("CALLMETER_CHARGES", abi::StreamKind::Charges as i64),
        ("CALLMETER_LOG_ERROR", abi::level::ERROR.into()),
        ("CALLMETER_LOG_TRACE", abi::level::TRACE.into()),
        ("ARROW_FLAG_NULLABLE", abi::arrow::ArrowSchema::NULLABLE),
    ]
}

/// A program that compiles only if the header agrees with the Rust side.
fn assertions() -> String {
    let mut c = String::from(
        "#include \"callmeter_plugin.h\"\n\
         #ifdef __cplusplus\n#define CHECK static_assert\n#else\n#define CHECK _Static_assert\n#endif\n",
    );
    for (name, size, members) in layouts() {
        writeln!(c, "CHECK(sizeof({name}) == {size}, \"size of {name}\");").unwrap();
        for (member, offset) in members {
            writeln!(
                c,
                "CHECK(offsetof({name}, {member}) == {offset}, \"{name}.{member}\");"
            )
            .unwrap();
        }
    }
    for (name, value) in numbers() {
        writeln!(c, "CHECK({name} == {value}, \"{name}\");").unwrap();
    }
    // The signatures: assigning a function of another type to a slot is an error in C++.
    c.push_str(
        "static int32_t create(const callmeter_host *, callmeter_str, callmeter_str, void **, callmeter_error *) { return 0; }\n\
         static int32_t write_batch(void *, const callmeter_batch *, callmeter_error *) { return 0; }\n\
         static int32_t flush(void *, uint64_t, uint64_t *, callmeter_error *) { return 0; }\n\
         static void end(void *) {}\n\
         CALLMETER_PLUGIN_NOTE(\"layout\", \"1.2.3\");\n\
         int32_t callmeter_output_plugin_init_v1(const callmeter_host *host, callmeter_output_plugin *out, callmeter_error *error) {\n\
           callmeter_output_plugin t = {sizeof t, CALLMETER_ABI_MAJOR, CALLMETER_ABI_MINOR, 0, \"layout\", \"1.2.3\", NULL, create, write_batch, flush, end, end};\n\
           (void)host; (void)error; CALLMETER_FILL(out, t); return CALLMETER_OK; }\n",
    );
    c
}

fn compile(compiler: &str, args: &[&str], extension: &str) {
    assert!(
        Command::new(compiler).arg("--version").output().is_ok(),
        "{compiler} is missing: install it, or run the tests with `cargo xtask test`, which does"
    );
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join(format!("layout.{extension}"));
    // C wants parameter names before C23; the warnings-as-errors flags below allow their absence.
    std::fs::write(&source, assertions()).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let library = dir.path().join("layout.so");
    let out = Command::new(compiler)
        .args(args)
        .args([
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
        ])
        .arg("-I")
        .arg(include)
        .arg(&source)
        .arg("-o")
        .arg(&library)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{compiler} refuses the header:\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let shown = exported(&library);
    assert_eq!(shown, ["callmeter_output_plugin_init_v1"], "{compiler}");
}

fn exported(library: &Path) -> Vec<String> {
    let out = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(library)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .filter_map(|l| l.split_whitespace().last())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_header_agrees_as_c11() {
    compile("gcc", &["-std=c11", "-Wno-pedantic", "-x", "c"], "c");
}

#[test]
fn the_header_agrees_as_cpp17() {
    compile(
        "g++",
        &["-std=c++17", "-Wno-missing-field-initializers"],
        "cpp",
    );
}

#[test]
fn the_init_function_has_the_documented_name() {
    assert_eq!(abi::INIT_SYMBOL, c"callmeter_output_plugin_init_v1");
    assert!(
        abi::INIT_SYMBOL
            .to_str()
            .unwrap()
            .ends_with(&format!("_v{}", abi::ABI_MAJOR))
    );
}
