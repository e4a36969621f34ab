"""An authorization server written on Authlib and Flask: another hand, another library, in memory.

The one argument is JSON: `client_id`, `client_secret`, `redirect_uri`, `post_logout_redirect_uri`,
and perhaps
  path                   of the issuer; `/op` unless given, and it may end with a slash
  alg                    what ID tokens are signed with: RS256, PS256, ES256, EdDSA
  access_token_lifetime  seconds
  audiences              of the ID token beside the client; without any it is a list all the same
  azp                    whether the ID token names the client as authorized party
  claims                 `id_token` (default) or `userinfo`: where e-mail, name and groups are said
  groups                 `list`, `string`, `words` (one string with spaces) or `nested`
  without                claims that nobody has, such as ["email"]
The first line printed is `ready <issuer>`. It ends at the end of its standard input.

  GET  /-/calls    [{"call": "token", "grant_type": "refresh_token"}, ...]
  POST /-/groups   {"user": "alice", "groups": ["dev"]}: from the next token on
  POST /-/revoke   {"user": "alice"}: ends sessions and tokens
  POST /-/restart  {}: other keys of the same names, nobody is known any more
"""

import json
import secrets
import sys
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode, UserInfo, UserInfoEndpoint
from authlib.oidc.core.models import AuthorizationCodeMixin
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import Flask, jsonify, request, session
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

GIVEN = json.loads(sys.argv[1])
PATH = GIVEN.get("path", "/op")
BASE = PATH.rstrip("/")
ALG = GIVEN.get("alg", "RS256")
SCOPES = ["openid", "profile", "email", "groups", "offline_access"]
METHODS = ["client_secret_basic", "client_secret_post"]
PEOPLE = {
    "alice": {"name": "Alice Ashford", "groups": ["admins", "dev"]},
    "bob": {"name": "Bob Müller", "groups": ["dev"]},
    "carol": {"name": "Carol", "groups": []},
}
KINDS = {
    "RS256": lambda about: RSAKey.generate_key(2048, about, private=True),
    "PS256": lambda about: RSAKey.generate_key(2048, about, private=True),
    "ES256": lambda about: ECKey.generate_key("P-256", about, private=True),
    "EdDSA": lambda about: OKPKey.generate_key("Ed25519", about, private=True),
}
# Another key is published beside the one that signs, so that `kid` has to be read.
OTHER = "ES256" if ALG != "ES256" else "RS256"


def fresh_keys():
    return KeySet([KINDS[alg]({"kid": f"key of {alg}", "use": "sig", "alg": alg})
                   for alg in (OTHER, ALG)])


KEYS = fresh_keys()
CODES, TOKENS, NONCES, SESSIONS, CALLS = {}, [], set(), {}, []
ISSUER = ""  # once the port is known


class Client(ClientMixin):
    client_metadata = {"post_logout_redirect_uris": [GIVEN["post_logout_redirect_uri"]]}

    def get_client_id(self):
        return GIVEN["client_id"]

    def get_default_redirect_uri(self):
        return GIVEN["redirect_uri"]

    def get_allowed_scope(self, scope):
        return " ".join(one for one in (scope or "").split() if one in SCOPES)

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == GIVEN["redirect_uri"]

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(client_secret, GIVEN["client_secret"])

    def check_endpoint_auth_method(self, method, endpoint):
        return method in METHODS

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token")


CLIENT = Client()


class Code(AuthorizationCodeMixin):
    def __init__(self, **members):
        self.__dict__.update(members, auth_time=int(time.time()))

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return self.auth_time

    def get_acr(self):
        return None

    def get_amr(self):
        return ["pwd"]


class Token(TokenMixin):
    def __init__(self, user, data):
        self.user, self.data, self.at, self.dead = user, data, time.time(), False
        self.scope = data.get("scope", "")

    def check_client(self, client):
        return client is CLIENT

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.data["expires_in"]

    def is_expired(self):
        return time.time() > self.at + self.data["expires_in"]

    def is_revoked(self):
        return self.dead

    def get_user(self):
        return self.user

    def get_client(self):
        return CLIENT


def find(kind, value):
    return next((token for token in TOKENS if token.data.get(kind) == value), None)


def said_of(user, scope):
    """What a token or the userinfo endpoint says about somebody."""
    groups = PEOPLE[user]["groups"]
    said = {"sub": f"subject of {user}"}
    if "profile" in scope.split():
        said |= {"name": PEOPLE[user]["name"], "preferred_username": user}
    if "email" in scope.split():
        said |= {"email": f"{user}@example.com", "email_verified": True}
    if "groups" in scope.split():
        said |= {
            "list": {"groups": groups},
            "string": {"groups": groups[0] if groups else ""},
            "words": {"groups": " ".join(groups)},
            "nested": {"realm": {"roles": groups}},
        }[GIVEN.get("groups", "list")]
    return UserInfo({name: value for name, value in said.items()
                     if name not in GIVEN.get("without", [])})


class Oidc(OpenIDCode):
    def exists_nonce(self, nonce, request):
        return nonce in NONCES

    def resolve_client_private_key(self, client):
        return KEYS.keys[-1]

    def get_client_algorithm(self, client):
        return ALG

    def get_encode_header(self, client):
        return {"alg": ALG, "kid": f"key of {ALG}"}

    def get_client_claims(self, client):
        own = client.get_client_id()
        others = GIVEN.get("audiences")
        said = {"iss": ISSUER, "aud": own if others is None else [own, *others]}
        return said | ({"azp": own} if GIVEN.get("azp") else {})

    def generate_user_info(self, user, scope):
        info = said_of(user, scope)
        return UserInfo(sub=info["sub"]) if GIVEN.get("claims") == "userinfo" else info


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code, request):
        data = request.payload.data
        NONCES.add(data.get("nonce"))
        CODES[code] = Code(
            code=code, user=request.user, nonce=data.get("nonce"),
            redirect_uri=request.payload.redirect_uri,
            scope=CLIENT.get_allowed_scope(request.payload.scope),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"))

    def query_authorization_code(self, code, client):
        return CODES.get(code)

    def delete_authorization_code(self, authorization_code):
        CODES.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class Renewal(grants.RefreshTokenGrant):
    """Rotates: the old token is dead, and the new one lives on whoever shows the old one again."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        token = find("refresh_token", refresh_token)
        return None if not token or token.dead else token

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.dead = True


class S256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]


class Issuer(IssuerParameter):
    def get_issuer(self):
        return ISSUER


class Valid(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return find("access_token", token_string)


class Info(UserInfoEndpoint):
    def generate_user_info(self, user, scope):
        return said_of(user, scope)


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string, token_type_hint):
        return find("access_token", token_string) or find("refresh_token", token_string)

    def revoke_token(self, token, request):
        token.dead = True


class End(EndSessionEndpoint):
    def get_server_jwks(self):
        return KEYS

    def end_session(self, end_session_request):
        SESSIONS.pop(session.pop("key", None), None)


app = Flask("authlib")
app.secret_key = secrets.token_bytes(32)
app.config.update(
    OAUTH2_REFRESH_TOKEN_GENERATOR=True, SESSION_COOKIE_NAME="authlib",
    OAUTH2_TOKEN_EXPIRES_IN={
        "authorization_code": GIVEN.get("access_token_lifetime", 3600),
        "refresh_token": GIVEN.get("access_token_lifetime", 3600)})
server = AuthorizationServer(
    app, lambda client_id: CLIENT if client_id == GIVEN["client_id"] else None,
    lambda data, request: TOKENS.append(Token(request.user, data)))
server.register_grant(CodeGrant, [S256(required=True), Oidc(require_nonce=True)])
server.register_grant(Renewal, [Oidc()])
server.register_extension(Issuer())
guard = ResourceProtector()
guard.register_token_validator(Valid())
for endpoint in (Revocation, End, Info(resource_protector=guard)):
    server.register_endpoint(endpoint)


@app.before_request
def note():
    if not request.path.startswith("/-/"):
        call = request.path.removeprefix(f"{BASE}/")
        CALLS.append({"call": call, "grant_type": request.form.get("grant_type")})


@app.get(f"{BASE}/.well-known/openid-configuration")
def discovery():
    base = ISSUER.rstrip("/")
    paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks",
             "userinfo_endpoint": "userinfo", "revocation_endpoint": "revoke",
             "end_session_endpoint": "logout"}
    return jsonify(
        issuer=ISSUER, **{name: f"{base}/{path}" for name, path in paths.items()},
        response_types_supported=["code"], response_modes_supported=["query"],
        subject_types_supported=["public"], scopes_supported=SCOPES,
        id_token_signing_alg_values_supported=[ALG], code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
        token_endpoint_auth_methods_supported=METHODS)


@app.get(f"{BASE}/jwks")
def jwks():
    return jsonify(KEYS.as_dict(private=False))


@app.route(f"{BASE}/authorize", methods=["GET", "POST"])
def authorize():
    user = SESSIONS.get(session.get("key"))
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    if request.method == "POST":
        user = request.form["username"]
        if user not in PEOPLE:
            return "Nobody of that name", 403
        session["key"] = secrets.token_urlsafe()
        SESSIONS[session["key"]] = user
    elif not user:
        return ('<!doctype html><title>Sign in</title><form method="post" action="">'
                '<input name="username" value=""><input name="password" type="password" value="">'
                '<button>Sign in</button></form>')
    return server.create_authorization_response(grant_user=user, grant=grant)


@app.post(f"{BASE}/token")
def token():
    return server.create_token_response()


@app.route(f"{BASE}/userinfo", methods=["GET", "POST"])
def userinfo():
    return server.create_endpoint_response("userinfo")


@app.post(f"{BASE}/revoke")
def revoke():
    return server.create_endpoint_response("revocation")


@app.route(f"{BASE}/logout", methods=["GET", "POST"])
def logout():
    try:
        asked = server.validate_endpoint_request("end_session")
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return server.create_endpoint_response("end_session", asked) or "Signed out"


@app.get("/-/calls")
def calls():
    return jsonify(CALLS)


@app.post("/-/groups")
def change_groups():
    PEOPLE[request.json["user"]]["groups"] = request.json["groups"]
    return jsonify(None)


@app.post("/-/revoke")
def revoke_everything():
    user = request.json["user"]
    for one in TOKENS:
        one.dead = one.dead or one.user == user
    for key in [key for key, of in SESSIONS.items() if of == user]:
        SESSIONS.pop(key, None)
    return jsonify(None)


@app.post("/-/restart")
def restart():
    """What a restart does to a server that keeps everything in memory."""
    global KEYS
    KEYS = fresh_keys()
    for kept in (CODES, TOKENS, NONCES, SESSIONS):
        kept.clear()
    return jsonify(None)


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


if __name__ == "__main__":
    httpd = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    ISSUER = f"http://127.0.0.1:{httpd.server_port}{PATH}"
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    print(f"ready {ISSUER}", flush=True)
    sys.stdin.buffer.read()
