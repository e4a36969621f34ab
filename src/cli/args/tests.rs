use super::*;

const NONE: &dyn Fn() -> Option<PathBuf> = &|| None;
const SOME: &dyn Fn() -> Option<PathBuf> = &|| Some(PathBuf::from("/etc/sidegate/sidegate.yaml"));
const FLAGS: &str = "--upstream http://127.0.0.1:3000 --issuer https://id.test --client-id a \
                     --public-url https://a.test";

fn parsed(
    line: &str,
    variables: &[(&str, &str)],
    file: &dyn Fn() -> Option<PathBuf>,
) -> Result<Invocation, Refused> {
    let environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let words = std::iter::once("sidegate").chain(line.split_whitespace());
    parse(words.map(OsString::from), &environment, file)
}

fn file_of(invocation: &Invocation) -> Option<&Path> {
    match invocation {
        Invocation::Run(Start::File(path))
        | Invocation::Local(
            Local::Check(Start::File(path), ..) | Local::Healthcheck(Start::File(path)),
        ) => Some(path),
        _ => None,
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_file_is_named_before_or_after_the_command_or_found() {
    for (line, wanted) in [
        ("--config a.yaml", "a.yaml"),
        ("run --config a.yaml", "a.yaml"),
        ("--config a.yaml check", "a.yaml"),
        ("check --config=a.yaml --format json", "a.yaml"),
        ("healthcheck", "/etc/sidegate/sidegate.yaml"),
        ("", "/etc/sidegate/sidegate.yaml"),
    ] {
        let invocation = parsed(line, &[], SOME).unwrap();
        assert_eq!(file_of(&invocation), Some(Path::new(wanted)), "{line}");
    }
}

#[test]
fn without_a_file_flags_say_everything() {
    let Ok(Invocation::Run(Start::Flags(flags))) = parsed(FLAGS, &[], NONE) else {
        panic!("not flags");
    };
    assert_eq!(flags.client_id.as_deref(), Some("a"));
    let refused = parsed("", &[], NONE).unwrap_err();
    assert_eq!(refused.exit(), Exit::Usage);
}

#[test]
fn flags_and_their_variables_beside_a_file_are_a_usage_error() {
    for (line, variables) in [
        (FLAGS, &[][..]),
        ("--config a.yaml --issuer https://id.test", &[]),
        ("check", &[("SIDEGATE_UPSTREAM", "http://127.0.0.1:3000")]),
        ("run", &[("SIDEGATE_CLIENT_SECRET", "hunter2")]),
    ] {
        let refused = parsed(line, variables, SOME).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage, "{line}");
        assert!(!refused.text().contains("hunter2"), "{}", refused.text());
    }
}

// T7: never on the command line; and what was put there is not repeated.
#[test]
fn secrets_are_refused_on_the_command_line_and_not_repeated() {
    for line in [
        "--client-secret hunter2",
        "run --client-secret=hunter2",
        "check --session-key hunter2",
        "--client-secret --upstream http://127.0.0.1:3000",
        "run hunter2",
    ] {
        let refused = parsed(line, &[], SOME).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage, "{line}");
        assert!(!refused.text().contains("hunter2"), "{}", refused.text());
    }
    let text = parsed("--client-secret x", &[], NONE).unwrap_err().text();
    assert!(text.contains("SIDEGATE_CLIENT_SECRET_FILE"), "{text}");
}

#[test]
fn a_command_refuses_what_it_has_no_use_for() {
    for line in [
        "keygen --config a.yaml",
        "keygen --issuer https://id.test",
        "demo --config a.yaml",
        "demo --issuer https://id.test",
        "dev-provider --upstream http://127.0.0.1:3000",
        "version --config a.yaml",
        "keygen --out a --rotate b",
    ] {
        let refused = parsed(line, &[], NONE).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage, "{line}");
    }
}

#[test]
fn demo_and_dev_provider_need_nothing_and_choose_ports() {
    let Ok(Invocation::Demo(demo)) = parsed("demo", &[], SOME) else {
        panic!("not a demo");
    };
    assert_eq!((demo.upstream, demo.port), (None, 4180));
    let line = "demo --upstream http://127.0.0.1:3000 --port 5000";
    let Ok(Invocation::Demo(demo)) = parsed(line, &[], NONE) else {
        panic!("not a demo");
    };
    assert_eq!(
        (demo.upstream.as_deref(), demo.port),
        (Some("http://127.0.0.1:3000"), 5000)
    );
    let provider = parsed("dev-provider --port 5001", &[], NONE);
    assert!(matches!(
        provider,
        Ok(Invocation::DevProvider(DevProvider { port: 5001, .. }))
    ));
}

#[test]
fn asking_for_help_is_no_mistake() {
    for line in ["--help", "check --help", "--version"] {
        assert_eq!(
            parsed(line, &[], NONE).unwrap_err().exit(),
            Exit::Done,
            "{line}"
        );
    }
    assert_eq!(
        parsed("frobnicate", &[], NONE).unwrap_err().exit(),
        Exit::Usage
    );
}
