"""Clients that are not ours log in at the embedded provider.

Two independent libraries run the authorization code flow with PKCE: requests_oauthlib against the
confidential client, and Authlib against another one that authenticates in the body. The sign-in
form is filled in by requests, as a browser would. Each step prints one line; any surprise ends the
program with a status other than 0.

Usage: client.py ISSUER REDIRECT_URI BASIC_CLIENT_ID BASIC_SECRET POST_CLIENT_ID POST_SECRET
"""

import hashlib
import os
import sys
from base64 import urlsafe_b64encode
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote_plus, urlencode, urljoin, urlsplit

# The provider is on loopback, where plain HTTP is in order.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import InvalidGrantError, MismatchingStateError
from requests_oauthlib import OAuth2Session

SCOPE = ["openid", "profile", "email"]
TIMEOUT = 20


class Surprise(Exception):
    """Something is not as it has to be."""


def expect(actual, expected, what):
    if actual != expected:
        raise Surprise(f"{what}: expected {expected!r}, found {actual!r}")


def step(text):
    print(text, flush=True)


class Form(HTMLParser):
    """The one form of a page: its action and its own fields."""

    def __init__(self, html):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(html)
        if self.action is None:
            raise Surprise("the page has no form")

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            expect(attrs.get("method"), "post", "the form's method")
            self.action = attrs["action"]
        elif tag == "input" and self.action is not None:
            self.fields[attrs["name"]] = attrs.get("value", "")


def browse(browser, url, username):
    """Opens the authorization URL and comes back with the URL that the client is called by."""
    page = browser.get(url, allow_redirects=False, timeout=TIMEOUT)
    if page.status_code == 200:
        form = Form(page.text)
        fields = {**form.fields, "username": username, "password": "sidegate"}
        target = urljoin(page.url, form.action)
        page = browser.post(target, data=fields, allow_redirects=False, timeout=TIMEOUT)
    expect(page.status_code, 303, "the status of the redirect back")
    return page.headers["Location"]


def check_response(location, redirect_uri, issuer):
    expect(location.split("?")[0], redirect_uri, "the place of the answer")
    query = parse_qs(urlsplit(location).query, strict_parsing=True)
    expect(query["iss"], [issuer], "iss in the authorization response")


def check_id_token(raw, metadata, client_id, nonce, access_token, username):
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=TIMEOUT).json())
    token = jwt.decode(raw, keys, algorithms=["RS256", "ES256"])
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": metadata["issuer"]},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    registry.validate(token.claims)
    expect(token.claims.get("nonce"), nonce, "nonce")
    expect(token.claims["preferred_username"], username, "preferred_username")
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    expect(token.claims["at_hash"], urlsafe_b64encode(half).rstrip(b"=").decode(), "at_hash")
    return token.claims


def with_requests_oauthlib(metadata, redirect_uri, client_id, secret):
    # RFC 6749 section 2.3.1 encodes both inside Basic; requests leaves that to its caller.
    credentials = requests.auth.HTTPBasicAuth(quote_plus(client_id), quote_plus(secret))
    browser = requests.Session()
    session = OAuth2Session(client_id, redirect_uri=redirect_uri, scope=SCOPE, pkce="S256")
    nonce = generate_token(32)
    url, _ = session.authorization_url(metadata["authorization_endpoint"], nonce=nonce)
    location = browse(browser, url, "alice")
    check_response(location, redirect_uri, metadata["issuer"])
    step("requests_oauthlib: signed in as alice")

    forged = location.replace("state=", "state=x")
    try:
        session.fetch_token(
            metadata["token_endpoint"],
            authorization_response=forged,
            auth=credentials,
            timeout=TIMEOUT,
        )
    except MismatchingStateError:
        step("requests_oauthlib: refused an answer with another state")
    else:
        raise Surprise("an answer with another state was accepted")

    token = session.fetch_token(
        metadata["token_endpoint"],
        authorization_response=location,
        auth=credentials,
        timeout=TIMEOUT,
    )
    expect(token["token_type"], "Bearer", "token_type")
    claims = check_id_token(
        token["id_token"], metadata, client_id, nonce, token["access_token"], "alice"
    )
    expect(claims["groups"], ["admins", "dev"], "groups")
    step("requests_oauthlib: redeemed the code and verified the ID token")

    person = session.get(metadata["userinfo_endpoint"], timeout=TIMEOUT)
    expect(person.status_code, 200, "the status of userinfo")
    expect(person.json()["sub"], claims["sub"], "sub of userinfo")
    expect(person.json()["email"], "alice@example.com", "email of userinfo")
    step("requests_oauthlib: fetched userinfo")

    old = token["refresh_token"]
    renewed = session.refresh_token(
        metadata["token_endpoint"], refresh_token=old, auth=credentials, timeout=TIMEOUT
    )
    if renewed["refresh_token"] == old or renewed["access_token"] == token["access_token"]:
        raise Surprise("a renewal gave an old token again")
    again = check_id_token(
        renewed["id_token"], metadata, client_id, None, renewed["access_token"], "alice"
    )
    expect(again["auth_time"], claims["auth_time"], "auth_time after a renewal")
    step("requests_oauthlib: renewed, and the refresh token rotated")

    try:
        session.refresh_token(
            metadata["token_endpoint"], refresh_token=old, auth=credentials, timeout=TIMEOUT
        )
    except InvalidGrantError:
        step("requests_oauthlib: refused the old refresh token")
    else:
        raise Surprise("an old refresh token was accepted")
    bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
    after = requests.get(metadata["userinfo_endpoint"], headers=bearer, timeout=TIMEOUT)
    expect(after.status_code, 401, "the status of userinfo after the reuse")
    step("requests_oauthlib: the reuse ended the whole grant")


def with_authlib(metadata, redirect_uri, client_id, secret):
    browser = requests.Session()
    session = AuthlibSession(
        client_id,
        secret,
        token_endpoint_auth_method="client_secret_post",
        revocation_endpoint_auth_method="client_secret_post",
        scope=" ".join(SCOPE),
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
    )
    verifier, nonce = generate_token(48), generate_token(32)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    location = browse(browser, url, "bob")
    check_response(location, redirect_uri, metadata["issuer"])
    token = session.fetch_token(
        metadata["token_endpoint"],
        authorization_response=location,
        state=state,
        code_verifier=verifier,
        timeout=TIMEOUT,
    )
    claims = check_id_token(
        token["id_token"], metadata, client_id, nonce, token["access_token"], "bob"
    )
    expect(claims["groups"], ["dev"], "groups")
    step("authlib: signed in as bob and verified the ID token")

    facts = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"], timeout=TIMEOUT
    ).json()
    expect((facts["active"], facts["username"]), (True, "bob"), "introspection")
    revoked = session.revoke_token(
        metadata["revocation_endpoint"], token=token["refresh_token"], timeout=TIMEOUT
    )
    expect(revoked.status_code, 200, "the status of the revocation")
    facts = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"], timeout=TIMEOUT
    ).json()
    expect(facts, {"active": False}, "introspection after the revocation")
    step("authlib: introspected and revoked")

    after = redirect_uri.replace("/callback", "/sign_out")
    question = {
        "id_token_hint": token["id_token"],
        "post_logout_redirect_uri": after,
        "state": "over",
    }
    out = browser.get(
        f"{metadata['end_session_endpoint']}?{urlencode(question)}",
        allow_redirects=False,
        timeout=TIMEOUT,
    )
    expect(out.status_code, 303, "the status of the end-session redirect")
    expect(out.headers["Location"], f"{after}?state=over", "the place after signing out")
    page = browser.get(url, allow_redirects=False, timeout=TIMEOUT)
    expect(page.status_code, 200, "the status of a sign-in page after signing out")
    step("authlib: signed out")


def main(issuer, redirect_uri, basic_id, basic_secret, post_id, post_secret):
    found = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=TIMEOUT)
    metadata = found.json()
    expect(metadata["issuer"], issuer, "the issuer")
    step("discovered the provider")
    with_requests_oauthlib(metadata, redirect_uri, basic_id, basic_secret)
    with_authlib(metadata, redirect_uri, post_id, post_secret)
    step("done")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Surprise as surprise:
        sys.exit(f"surprise: {surprise}")
