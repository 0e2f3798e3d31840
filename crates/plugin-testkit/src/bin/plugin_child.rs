//! The child of isolated outputs in tests, as `callmeter plugin-child` is in callmeter.

fn main() -> std::process::ExitCode {
    callmeter_plugin_host::child_main()
}
