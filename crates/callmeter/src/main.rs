//! The `callmeter` program: selects the command.

use std::process::ExitCode;

use callmeter::cli::{Cli, Command};
use callmeter::commands;
use callmeter::exit::Failure;
use callmeter::file_size;
use callmeter::logging;
use callmeter::malloc_pools;
use callmeter_plugin_host::CHILD_ARGUMENT;

fn main() -> ExitCode {
    // A plugin's child process is this same program. It does nothing else.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == CHILD_ARGUMENT)
    {
        return callmeter_plugin_host::child_main();
    }
    let cli = Cli::read();
    match file_size::survive_the_limit().and_then(|()| dispatch(cli)) {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            logging::fatal(&failure);
            failure.code()
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) if args.check => commands::check_config::run(
            &args.config.config_file,
            args.web.web_config_file.as_deref(),
        ),
        Command::Run(args) => {
            malloc_pools::use_one();
            commands::run::run(args)
        }
        Command::CheckConfig(args) => {
            let file = args.file.as_deref().unwrap_or(&args.config.config_file);
            commands::check_config::run(file, args.web_config_file.as_deref())
        }
        #[cfg(feature = "demo")]
        Command::Demo(args) => commands::demo::run(args),
        Command::Backfill(args) => commands::backfill::run(&args),
        Command::Journal(command) => commands::journal::run(command),
        Command::Export(args) => commands::export::run(&args),
        Command::Charges(args) => commands::charges::run(&args),
        Command::Rate(args) => commands::rate::run(&args),
        Command::Metrics(args) => commands::metrics::run(&args),
        Command::Plugin(command) => commands::plugin::run(command),
        Command::DeadLetters(command) => commands::dead_letters::run(command),
        Command::Healthcheck { address } => commands::healthcheck::run(&address),
        Command::Man { directory } => commands::man::run(&directory),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
