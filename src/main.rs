//! The process: what was asked for, and how it ended.

use std::process::ExitCode;

use sidegate::cli::{self, Invocation};
use sidegate::transport::tls;

fn main() -> ExitCode {
    tls::install_crypto();
    let exit = match cli::parse() {
        Err(exit) => exit,
        Ok(Invocation::Run(start)) => cli::run::run(&start),
        Ok(Invocation::Demo(demo)) => cli::demo::run(&demo),
        Ok(Invocation::DevProvider(provider)) => cli::dev_provider::run(&provider),
        Ok(Invocation::Local(command)) => cli::with_streams(|streams| command.run(streams)),
    };
    ExitCode::from(exit)
}
