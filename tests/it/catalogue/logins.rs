//! What is wrong with a login: the browser's part of it, and the provider's.

use super::*;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn of_logins() -> Vec<Row> {
    vec![
        row(
            "state_missing",
            400,
            &["did not come back", "another browser"],
            || {
                let world = World::start();
                let (_, state) = begun(&world);
                let error = callback(&[("error", "access_denied"), ("state", &state)]);
                let answer = world.browser().open(&error);
                (world, answer)
            },
        ),
        row("state_expired", 400, &["too long ago"], || {
            let world = World::start();
            let (mut browser, state) = begun(&world);
            world.gate.clock.advance(Duration::from_mins(61));
            let answer = browser.open(&callback(&[("error", "access_denied"), ("state", &state)]));
            (world, answer)
        }),
        row("state_mismatch", 400, &["not that of this login"], || {
            // Begun at one provider, answered at the callback of another.
            let (corp, guests) = (TestProvider::start(), TestProvider::start());
            let app = Upstream::start();
            let one = |id: &str, issuer: &str| {
                let secret = secret_file();
                format!(
                    "  - id: {id}\n    issuer: {issuer}\n    client_id: gate\n    client_secret: {{ file: {secret} }}\n"
                )
            };
            let text = yaml("ISSUER", &app.url(), "");
            let (before, rest) = text.split_once("providers:\n").unwrap();
            let (_, after) = rest.split_once("session:").unwrap();
            let both = one("corp", corp.issuer()) + &one("guests", guests.issuer());
            let text = format!("{before}providers:\n{both}session:{after}");
            let gate = Instance::start(&text, corp.clock());
            let world = World {
                provider: corp,
                app,
                gate,
            };
            world.await_provider();
            let mut browser = world.browser();
            let begun = browser.open(&format!("{PUBLIC}/oauth2/start?provider=corp"));
            let url = url::Url::parse(begun.location()).unwrap();
            let state = url
                .query_pairs()
                .find(|(name, _)| name == "state")
                .unwrap()
                .1;
            let answer = browser.open(&format!(
                "{PUBLIC}/oauth2/callback/guests?code=c&state={state}"
            ));
            (world, answer)
        }),
        row(
            "callback_malformed",
            400,
            &["not exactly one of `code` and `error`"],
            || sent_back(&[("code", "c"), ("error", "access_denied")]),
        ),
        row(
            "issuer_mismatch",
            400,
            &["expected `http://", "got `https://evil.test`"],
            || sent_back(&[("code", "c"), ("iss", "https://evil.test")]),
        ),
        row(
            "login_loop",
            400,
            &["the cookie `__Host-", "did not come back"],
            || {
                let world = World::start();
                let mut browser = world.browser();
                let form = browser.visit(&format!("{PUBLIC}/deep"));
                let filled = [("username", "alice"), ("password", "sidegate")];
                let answer = browser.submit_form(&form, &filled);
                browser.cookies = Cookies::OnlyLogins;
                let answer = browser.follow(form.url.as_str(), answer).answer;
                (world, answer)
            },
        ),
        row("provider_error", 400, &["server_error (broken)"], || {
            sent_back(&[("error", "server_error"), ("error_description", "broken")])
        }),
        row(
            "provider_error",
            403,
            &[
                "access_denied",
                "AADSTS50105",
                "not assigned to the application",
            ],
            || {
                let description = "AADSTS50105: Your administrator has blocked the application";
                let (world, answer) = sent_back(&[
                    ("error", "access_denied"),
                    ("error_description", description),
                ]);
                assert!(
                    answer.text().contains("not assigned to this app"),
                    "{}",
                    answer.text()
                );
                (world, answer)
            },
        ),
        row(
            "redirect_mismatch",
            500,
            &["register exactly `https://gate.test/oauth2/callback`"],
            || sent_back(&[("error", "redirect_uri_mismatch")]),
        ),
        row(
            "redirect_mismatch",
            500,
            &["register exactly `https://gate.test/oauth2/callback`"],
            || {
                let description = "AADSTS50011: The reply URL does not match";
                sent_back(&[
                    ("error", "invalid_request"),
                    ("error_description", description),
                ])
            },
        ),
        row(
            "redirect_mismatch",
            500,
            &["register exactly `https://gate.test/oauth2/callback`"],
            || {
                let fault = Fault::TokenRefusal(
                    StatusCode::BAD_REQUEST,
                    "invalid_grant",
                    "Incorrect redirect_uri",
                );
                login(World::start(), vec![fault])
            },
        ),
        row(
            "code_exchange_failed",
            502,
            &["401 invalid_client", "client_secret"],
            || {
                let app = Upstream::start();
                let provider = TestProvider::start();
                register(&provider, "dashboards", "/oauth2/callback");
                let text = yaml(provider.issuer(), &app.url(), "");
                // The file of the session key holds a secret, too, and not the right one.
                let text = text.replace(&secret_file(), &key_file());
                let gate = Instance::start(&text, provider.clock());
                let world = World {
                    provider,
                    app,
                    gate,
                };
                world.await_provider();
                let (world, answer) = login(world, vec![]);
                assert!(!world.gate.log().contains(KEY));
                (world, answer)
            },
        ),
        row(
            "code_exchange_failed",
            502,
            &["400 invalid_grant", "spent"],
            || {
                let fault = Fault::TokenRefusal(StatusCode::BAD_REQUEST, "invalid_grant", "");
                login(World::start(), vec![fault])
            },
        ),
        row("code_exchange_failed", 502, &["unreadable"], || {
            login(World::start(), vec![Fault::Html(Endpoint::Token)])
        }),
        row(
            "provider_unavailable",
            503,
            &["the token endpoint answered 503"],
            || {
                let fault = Fault::Status(Endpoint::Token, StatusCode::SERVICE_UNAVAILABLE);
                login(World::start(), vec![fault])
            },
        ),
        row(
            "provider_unavailable",
            503,
            &["since 20", "discovery", "404"],
            || {
                let (provider, app) = (TestProvider::start(), Upstream::start());
                let text = yaml(&format!("{}/nowhere", provider.issuer()), &app.url(), "");
                let gate = Instance::start(&text, provider.clock());
                let world = World {
                    provider,
                    app,
                    gate,
                };
                open(world, "/")
            },
        ),
        row(
            "token_invalid",
            502,
            &["`other`", "`dashboards`", "audience"],
            || bad_token(IdTokenFault::Claim("aud", Some(json!("other")))),
        ),
        row(
            "token_invalid",
            502,
            &["signed with `RS512`", "algorithm"],
            || bad_token(IdTokenFault::Header("alg", Some(json!("RS512")))),
        ),
        row("token_invalid", 502, &["signature"], || {
            bad_token(IdTokenFault::BrokenSignature)
        }),
        row("token_invalid", 502, &["lacks `exp`"], || {
            bad_token(IdTokenFault::Claim("exp", None))
        }),
        row(
            "issuer_mismatch",
            502,
            &[
                "expected `http://127.0.0.1:",
                "got `http://127.0.0.1:",
                "trailing slash",
            ],
            || {
                let world = World::start();
                let slash = format!("{}/", world.provider.issuer());
                let fault = IdTokenFault::Claim("iss", Some(json!(slash)));
                login(world, vec![Fault::IdToken(fault)])
            },
        ),
        row("nonce_mismatch", 400, &["nonce"], || {
            bad_token(IdTokenFault::Claim(
                "nonce",
                Some(json!("of another login")),
            ))
        }),
        row(
            "clock_skew",
            502,
            &[
                "7200 s in the future",
                "our clock is slow, or the provider's is fast",
            ],
            || bad_token(IdTokenFault::Shifted(7200)),
        ),
        row(
            "clock_skew",
            502,
            &[
                " s past its end",
                "our clock is fast, or the provider's is slow",
            ],
            || bad_token(IdTokenFault::Shifted(-7200)),
        ),
        row(
            "identity_unusable",
            502,
            &["looked for the claim `groups`"],
            || {
                login(
                    World::start(),
                    vec![claim("groups", json!([{ "id": "admins" }]))],
                )
            },
        ),
        row(
            "cookie_too_large",
            500,
            &["bytes, room is for", "the most of it is `groups`"],
            || {
                let groups: Vec<String> = (0..150)
                    .map(|n| format!("{n}-{}", pseudo_random(n)))
                    .collect();
                login(World::start(), vec![claim("groups", json!(groups))])
            },
        ),
    ]
}

/// Text that does not compress, the same at every call.
fn pseudo_random(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap())
    };
    (0..150)
        .map(step)
        .filter(|c| !"\",%".contains(*c))
        .collect()
}
